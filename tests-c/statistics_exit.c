/* Processes that end with contexts which they have not freed: their statistics are published once, if at all. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/scratch.h"

static struct server *server;
static dpl_ctx_t *ctx;
static char printed[8192];

static void begin(void) {
    server = server_answering(1);
    setenv("DPLX_STATS", "1", 1);
}

static void end(void) {
    server_stop(server);
}

static void make_requests(int n) {
    ctx = context_over_server(server, "");
    for (int i = 0; i < n; i++)
        answered(ctx, i);
}

static int tables(void) {
    int n = 0;

    for (const char *at = printed; (at = strstr(at, "checkouts")) != NULL; at++)
        n++;
    return n;
}

/* A file that children print to. */
static int open_printed(void) {
    char path[256];

    snprintf(path, sizeof path, "%s/stderr", scratch_dir());
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
}

/* Has a child act, and reads what it prints. Returns its number. A child that hangs is killed. */
static pid_t have_child(void (*act)(void), int *status) {
    int file = open_printed();
    ssize_t length;
    pid_t child = fork();

    if (child == 0) {
        dup2(file, STDERR_FILENO);
        act();
        exit(EXIT_SUCCESS);
    }
    if (!EVENTUALLY(waitpid(child, status, WNOHANG) == child)) {
        kill(child, SIGKILL);
        waitpid(child, status, 0);
    }
    length = pread(file, printed, sizeof printed - 1, 0);
    printed[length > 0 ? length : 0] = '\0';
    close(file);
    return child;
}

/* ---- the end of main() ------------------------------------------------------------- */

static void three_requests(void) {
    make_requests(3);
}

static void no_request(void) {
    make_requests(0);
}

static void process_exits_without_freeing(void) {
    char path[256];
    pid_t child;
    int status;

    begin();
    have_child(three_requests, &status);
    fprintf(stderr, "%s", printed);
    CHECK(strstr(printed, "2 reused") && strstr(printed, "127.0.0.1:"), "the table is printed");
    CHECK_INT(tables(), 1, "once");
    have_child(no_request, &status);
    CHECK_INT(tables(), 0, "but not if the process has used no connection");
    unsetenv("DPLX_STATS");
    snprintf(path, sizeof path, "%s/%s", scratch_dir(), "%p.prom");
    setenv("DPLX_STATS_FILE", path, 1);
    child = have_child(three_requests, &status);
    CHECK_STR(printed, "", "nothing is printed without DPLX_STATS");
    snprintf(path, sizeof path, "%s/%d.prom", scratch_dir(), (int)child);
    CHECK_INT(access(path, R_OK), 0, "the file is there");
    end();
}

static void twenty_contexts(void) {
    for (int i = 0; i < 20; i++)
        make_requests(1);
}

static void all_contexts_are_in_the_file(void) {
    static char text[1 << 20];
    char path[256];
    int status, file;
    ssize_t length;

    begin();
    unsetenv("DPLX_STATS");
    snprintf(path, sizeof path, "%s/all.prom", scratch_dir());
    setenv("DPLX_STATS_FILE", path, 1);
    have_child(twenty_contexts, &status);
    file = open(path, O_RDONLY);
    length = read(file, text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    close(file);
    for (int i = 1; i <= 20; i++) {
        char line[80];

        snprintf(line, sizeof line, "opened_total{context=\"%d\"} 1\n", i);
        CHECK(strstr(text, line), "context %d is in the file", i);
    }
    end();
}

/* ---- at the same time as something else -------------------------------------------- */

static pthread_barrier_t together;

static void *free_it(void *unused) {
    (void)unused;
    pthread_barrier_wait(&together);
    dpl_ctx_free(ctx);
    return NULL;
}

static void free_while_exiting(void) {
    pthread_t thread;

    make_requests(3);
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&thread, NULL, free_it, NULL);
    pthread_barrier_wait(&together);
}

static void another_thread_frees_it(void) {
    int most = 0, status, died = 0;

    begin();
    for (int i = 0; i < 30; i++) {
        have_child(free_while_exiting, &status);
        died += status != 0;
        most = tables() > most ? tables() : most;
    }
    CHECK_INT(most, 1, "one of the two prints the table");
    CHECK_INT(died, 0, "and the process ends as it should");
    end();
}

static void exit_at_once(int signal) {
    (void)signal;
    exit(EXIT_SUCCESS);
}

static void exit_in_a_handler(void) {
    dplx_pool_stats_t stats = {.size = sizeof stats};

    make_requests(3);
    signal(SIGALRM, exit_at_once);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 5000}, NULL);
    for (;;)
        dplx_pool_stats(ctx, &stats);
}

static void handler_interrupts_the_library(void) {
    int hung = 0, status;

    begin();
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < 20; i++) {
            have_child(exit_in_a_handler, &status);
            hung += status != 0;
        }
        CHECK_INT(hung, 0, "it exits");
        CHECK(way > 0 || tables() <= 1, "with a table or without");
        unsetenv("DPLX_STATS");
    }
    end();
}

/* ---- children, and what stderr is -------------------------------------------------- */

static void free_the_parents(void) {
    dpl_ctx_free(ctx);
}

static void child_frees_what_it_has_not_used(void) {
    char path[256];
    struct stat before, after;
    int status;

    begin();
    snprintf(path, sizeof path, "%s/parent.prom", scratch_dir());
    setenv("DPLX_STATS_FILE", path, 1);
    make_requests(3);
    dpl_ctx_free(ctx); /* which writes the file */
    make_requests(1);
    CHECK_INT(stat(path, &before), 0, "the parent's file is there");
    have_child(free_the_parents, &status);
    CHECK_INT(tables(), 0, "nothing is printed for it");
    CHECK(stat(path, &after) == 0 && before.st_ino == after.st_ino, "and the file stays the parent's");
    unsetenv("DPLX_STATS");
    dpl_ctx_free(ctx);
    end();
}

static void print_at_the_limit(void) {
    struct stat now;

    signal(SIGXFSZ, SIG_DFL);
    make_requests(1);
    fstat(STDERR_FILENO, &now);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)now.st_size, RLIM_INFINITY});
}

static void stderr_is_a_file_at_its_limit(void) {
    int status;

    begin();
    have_child(print_at_the_limit, &status);
    CHECK_INT(status, 0, "no SIGXFSZ ends the process");
    CHECK_INT(tables(), 0, "the table is lost");
    end();
}

int main(void) {
    /* At the exit OpenSSL waits for locks of its own. In a child they may be held for ever, since threads of the server,
       which is in this process, use OpenSSL at the time of the fork. So it speaks no TLS, on which nothing here depends. */
    unsetenv("DROPLET_TEST_TLS");
    test_begin("statistics_exit");
    RUN(process_exits_without_freeing);
    RUN(all_contexts_are_in_the_file);
    RUN(another_thread_frees_it);
    RUN(handler_interrupts_the_library);
    RUN(child_frees_what_it_has_not_used);
    RUN(stderr_is_a_file_at_its_limit);
    return test_end();
}
