/* Costs of the library for a process: memory, and time to start. */
#include <malloc.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cases.h"
#include "client.h"
#include "results.h"

enum { CONNECTIONS = 800, READ_BUFFER = 8192, ROUNDS = 201 };

static double heap_in_use(void) {
    struct mallinfo2 info = mallinfo2();

    return (double)info.uordblks + (double)info.hblkhd;
}

void bench_memory(const struct peers *peers) {
    struct client client = client_new(&peers->plain, "127.0.0.1");
    double before;
    double each;

    client_warm(&client, 1);
    before = heap_in_use();
    client_warm(&client, 1 + CONNECTIONS);
    each = (heap_in_use() - before) / CONNECTIONS - READ_BUFFER;
    result("memory", "memory of an idle connection; floor: dpl_conn_t alone", "B",
           (struct comparison){each, sizeof(dpl_conn_t), each / sizeof(dpl_conn_t)},
           (struct goal){VALUE_AT_MOST, 512});
    client_free(&client);
}

static void start_true(void *environment, long n) {
    char *arguments[] = {"true", NULL};
    pid_t pid;
    int status;

    for (long i = 0; i < n; i++) {
        if (posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environment) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "/bin/true failed\n");
            exit(EXIT_FAILURE);
        }
    }
}

void bench_start(const struct peers *peers) {
    const char *library = getenv("LD_PRELOAD");
    char preload[4096];
    char *with[] = {preload, NULL};
    char *without[] = {NULL};
    struct comparison times;

    (void)peers;
    if (!library || !*library)
        return;
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
    times = compare((struct side){start_true, with}, (struct side){start_true, without}, 1, ROUNDS,
                    NULL);
    /* Of the median ratio: those of the times may come from rounds that had little to do with each other. */
    times.ours = times.ratio * times.floor;
    result("start", "what a preload adds to the start of a program", "ms",
           (struct comparison){(times.ours - times.floor) / 1e6, times.floor / 1e6, times.ratio},
           (struct goal){VALUE_AT_MOST, 2});
}
