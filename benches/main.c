/*
 * bench FILE [CASE...]: measures and writes results to FILE.
 * bench loop literal|name|tls|connect|write N: N warm checkouts, new connections or writes, and nothing
 * else, for counting what they take.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "client.h"
#include "results.h"

enum { LONGEST_CASE = 90 }; /* seconds */

static const struct bench {
    const char *name;
    void (*run)(const struct peers *);
    bool all_cpus;
} benches[] = {
    {"checkout", bench_checkout, false}, {"hosts", bench_hosts, false},
    {"idle", bench_idle, false},         {"latency", bench_latency, false},
    {"connect", bench_connect, false},   {"connect-tls", bench_connect_tls, false},
    {"write", bench_write, false},       {"write-tls", bench_write_tls, false},
    {"memory", bench_memory, false},     {"start", bench_start, false},
    {"threads", bench_threads, true},
};

/* Not by exit(): the original's clean-up and that of OpenSSL 3 do not get along. */
static _Noreturn void leave(int status) {
    fflush(NULL);
    _exit(status);
}

static bool is_wanted(const char *name, int argc, char **argv) {
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 2;
}

/* In a process of its own, so that no case finds what another has left behind. */
static bool run_apart(const struct bench *bench, const struct peers *peers) {
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        alarm(LONGEST_CASE);
        if (!bench->all_cpus)
            pin_to_cpu(0);
        bench->run(peers);
        leave(EXIT_SUCCESS);
    }
    if (waitpid(pid, &status, 0) == pid && status == 0)
        return true;
    fprintf(stderr, "case %s did not come to its end\n", bench->name);
    return false;
}

static bool measure(int argc, char **argv) {
    struct peers peers = {peer_start(false), peer_start(true)};
    bool done = true;

    results_open(argv[1]);
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
        if (is_wanted(benches[i].name, argc, argv))
            done = run_apart(&benches[i], &peers) && done;
    return done;
}

static void loop(const char *kind, long n) {
    struct peer peer = peer_start(strcmp(kind, "tls") == 0);
    struct client client = client_new(&peer, strcmp(kind, "name") == 0 ? "localhost" : "127.0.0.1");

    client_warm(&client, 1);
    if (strcmp(kind, "connect") == 0)
        connect_and_terminate(&client, n);
    else if (strcmp(kind, "write") == 0)
        write_loop(&client, n);
    else
        checkout_and_release(&client, n);
}

/* A program that measures the stand-in, or the wrong library, would say so only here. */
static void tell_library(void) {
    Dl_info info;
    void *function = dlsym(RTLD_DEFAULT, "dpl_try_connect");

    if (function && dladdr(function, &info))
        printf("dpl_try_connect is from %s\n", strrchr(info.dli_fname, '/') + 1);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "bench FILE [CASE...] | bench loop literal|name|tls|connect|write N\n");
        return EXIT_FAILURE;
    }
    allow_many_descriptors();
    if (dpl_init() != DPL_SUCCESS)
        return EXIT_FAILURE;
    if (argc == 4 && strcmp(argv[1], "loop") == 0) {
        loop(argv[2], atol(argv[3]));
    } else {
        tell_library();
        leave(measure(argc, argv) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    leave(EXIT_SUCCESS);
}
