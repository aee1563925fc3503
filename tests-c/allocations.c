/*
 * Each allocation of each scenario fails in turn, whether the library makes it, OpenSSL or libc; then all from each on.
 * A call may fail then, but cleanly (support/exhaust.h), and no host is blamed.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/clock.h"
#include "support/dplx.h"
#include "support/exhaust.h"
#include "support/exhaust_context.h"
#include "support/heap.h"
#include "support/loopback.h"
#include "support/scratch.h"

static struct server *dead;

/* ---- requests ---------------------------------------------------------------------- */

/* Writes a request, and reads the reply to its end: the server's number and that of the request. */
static bool converse(dpl_conn_t *conn) {
    static long number;
    char get[64], body[4096];
    size_t len = (size_t)snprintf(get, sizeof get, "GET / HTTP/1.1\r\nX-Number: %ld\r\n\r\n", ++number);
    ssize_t n, total = 0;

    if (!succeeded(dplx_conn_write(conn, get, len, LIMIT_MS), "dplx_conn_write"))
        return false;
    while ((n = dplx_reply_read(conn, body + total, sizeof body - 1 - (size_t)total, LIMIT_MS)) > 0)
        total += n;
    if (!succeeded((int)n, "dplx_reply_read"))
        return false;
    body[total] = '\0';
    if (!strchr(body, ' ') || atol(strchr(body, ' ')) != number)
        complain("the reply to another request");
    return true;
}

/* Given back after a failure, a connection must not serve again: the next reader would find the reply. */
static bool ask_on(dpl_conn_t *conn) {
    bool done = converse(conn);

    dpl_conn_release(conn);
    return done;
}

static bool ask_for(const char *bucket) {
    dpl_req_t *req = dplx_req_new(ctx, bucket);
    dpl_conn_t *conn = NULL;
    dpl_status_t status;

    if (!req)
        return failed_for_memory("dplx_req_new");
    status = dpl_try_connect(ctx, req, &conn);
    dplx_req_free(req);
    if (status != DPL_SUCCESS && conn)
        complain("a connection in spite of a failure");
    return succeeded(status, "dpl_try_connect") && ask_on(conn);
}

static bool ask(void) {
    return ask_for(NULL);
}

static bool ask_by_name(void) {
    dpl_conn_t *conn = dpl_conn_open_host(ctx, AF_INET, "localhost", server_port(server));

    return conn ? ask_on(conn) : failed_for_memory("dpl_conn_open_host");
}

static bool ask_a_bucket(void) {
    return ask_for("bucket");
}

static void make_context_for_buckets(void) {
    char host[64];

    snprintf(host, sizeof host, "localhost:%s", server_port(server));
    describe(host, "cert_verif = false");
    ctx = dplx_ctx_new(profile);
    REQUIRE(ctx, "a context is made");
}

static void make_idle(void) {
    make_context();
    REQUIRE(ask(), "a connection is idle");
}

/* The next connection resumes the session of one that was terminated. */
static void leave_a_session(void) {
    dpl_conn_t *conn;

    make_context();
    conn = dplx_connect(ctx, LIMIT_MS);
    REQUIRE(conn && converse(conn), "a request is answered");
    dpl_conn_terminate(conn);
}

static void make_context_over_both(void) {
    char hosts[200];

    snprintf(hosts, sizeof hosts, "%s, %s", server_name(dead), server_name(server));
    describe(hosts, "");
    ctx = dplx_ctx_new(profile);
    REQUIRE(ctx, "a context is made");
}

static bool live_a_life(void) {
    bool done;

    ctx = dplx_ctx_new(profile);
    if (!ctx)
        return failed_for_memory("dplx_ctx_new");
    done = ask() && ask();
    nobody_is_blamed();
    free_context();
    return done;
}

static void describe_a_life(void) {
    describe(server_name(server), "");
}

/* ---- statistics -------------------------------------------------------------------- */

static bool read_statistics(void) {
    dplx_pool_stats_t pool = {.size = sizeof pool};
    dplx_host_stats_t host = {.size = sizeof host};
    dplx_conn_info_t info = {.size = sizeof info};
    dpl_conn_t *conn;
    int n = dplx_host_stats(ctx, &host, 1);
    bool done = succeeded(dplx_pool_stats(ctx, &pool), "dplx_pool_stats") &&
                (n == 1 || succeeded(n, "dplx_host_stats"));

    conn = done ? dplx_connect(ctx, LIMIT_MS) : NULL;
    if (!conn)
        return done && failed_for_memory("dplx_connect");
    done = succeeded(dplx_conn_info(conn, &info), "dplx_conn_info");
    dpl_conn_terminate(conn);
    return done;
}

/* The tables on stderr and the file are written when the context is freed, or are not. */
static bool print_statistics(void) {
    bool done;

    setenv("DPLX_STATS", "1", 1);
    ctx = dplx_ctx_new(profile);
    if (!ctx)
        return failed_for_memory("dplx_ctx_new");
    done = ask();
    free_context();
    return done;
}

static void want_statistics(void) {
    static char path[256];

    heap_pause();
    describe(server_name(server), "");
    snprintf(path, sizeof path, "%s/%ld.prom", scratch_dir(), (long)getpid());
    setenv("DPLX_STATS_FILE", path, 1);
    if (!getenv("SHOW_LOG"))
        freopen("/dev/null", "w", stderr);
    heap_go_on();
}

/* ---- other uses --------------------------------------------------------------------- */

static bool cancel_a_use(void) {
    uint64_t use = dplx_use_new();
    dpl_conn_t *conn;
    bool done;

    if (use == 0)
        return failed_for_memory("dplx_use_new");
    conn = dplx_connect_cancellable(ctx, NULL, use, LIMIT_MS);
    if (!conn)
        return failed_for_memory("dplx_connect_cancellable");
    done = converse(conn) && dplx_conn_use(conn) == use;
    if (!done && dplx_conn_use(conn) == 0)
        complain("a use without a number");
    if (dplx_cancel(use) != DPL_SUCCESS)
        complain("a use that cannot be cancelled");
    dpl_conn_terminate(conn);
    return done;
}

static void hear(void *user, dpl_ctx_t *of, int level, const char *message) {
    (void)user;
    (void)of;
    (void)level;
    (void)message;
}

static bool set_a_log(void) {
    dplx_set_log_owned(hear, NULL, NULL);
    dplx_set_log(NULL, NULL);
    return true;
}

static bool write_to_a_file(void) {
    int fd = dup(STDIN_FILENO);
    dpl_conn_t *conn = dpl_conn_open_file(ctx, fd);

    if (!conn) {
        close(fd);
        return failed_for_memory("dpl_conn_open_file");
    }
    dpl_conn_release(conn);
    return true;
}

static bool fork_a_child(void) {
    pid_t child;
    int status;

    heap_pause(); /* libc may have blocks of its own at a fork */
    child = fork();
    heap_go_on();
    if (child == 0)
        _exit(ask() ? EXIT_SUCCESS : EXIT_FAILURE);
    waitpid(child, &status, 0);
    return ask() && status == 0;
}

/* At n_conn_max a call waits for a connection that another thread gives back. */

static pthread_t other;
static dpl_conn_t *held;

static void *give_back_later(void *unused) {
    dplx_pool_stats_t stats = {.size = sizeof stats};

    (void)unused;
    heap_pause();
    while (dplx_pool_stats(ctx, &stats) == DPL_SUCCESS && stats.waiting == 0 && held)
        sleep_ms(1);
    if (held)
        dpl_conn_release(held);
    held = NULL;
    return NULL;
}

/* Whatever the layout of this program is, dplx_ctx_new() makes contexts in that of Droplet 3.0. */
static int *n_conn_max(dpl_ctx_t *of) {
    return (int *)of + 1;
}

static void fill_the_limit(void) {
    make_context();
    *n_conn_max(ctx) = 1;
    REQUIRE(dplx_ctx_set_wait(ctx, LIMIT_MS) == DPL_SUCCESS, "calls wait at the limit");
}

static bool wait_at_the_limit(void) {
    bool done;

    heap_pause();
    held = dplx_connect(ctx, LIMIT_MS);
    if (!held || !converse(held) || pthread_create(&other, NULL, give_back_later, NULL) != 0)
        complain("the limit cannot be reached: %s", dplx_last_error());
    heap_go_on();
    done = ask();
    heap_pause();
    if (!done && held) {
        dpl_conn_t *last = held;

        held = NULL;
        dpl_conn_terminate(last);
    }
    pthread_join(other, NULL);
    heap_go_on();
    return done;
}

/* ---- cases ------------------------------------------------------------------------- */

static const struct exhausted requests[] = {
    {.name = "a life", .prepare = describe_a_life, .act = live_a_life, .stride = 5},
    {"a request", make_context, ask, nobody_is_blamed, free_context, 5},
    {"a request on an idle connection", make_idle, ask, nobody_is_blamed, free_context, 0},
    {"a request to a name", make_context, ask_by_name, nobody_is_blamed, free_context, 5},
    {"a request after a session", leave_a_session, ask, nobody_is_blamed, free_context, 5},
    {"a request after a host that refuses", make_context_over_both, ask, nobody_is_blamed,
     free_context, 5},
    {"a bucket", make_context_for_buckets, ask_a_bucket, nobody_is_blamed, free_context, 5},
    {"a use that is cancelled", make_context, cancel_a_use, nobody_is_blamed, free_context, 7},
    {"a fork", make_idle, fork_a_child, nobody_is_blamed, free_context, 7},
    {"a wait at the limit", fill_the_limit, wait_at_the_limit, nobody_is_blamed, free_context, 3},
};

static const struct exhausted others[] = {
    {"statistics", make_idle, read_statistics, nobody_is_blamed, free_context, 0},
    {"a file", make_context, write_to_a_file, NULL, free_context, 0},
    {.name = "a log function", .act = set_a_log},
    {.name = "statistics in a file", .prepare = want_statistics, .act = print_statistics, .stride = 61},
};

#define WITH_SERVERS(scenarios) with_servers(scenarios, sizeof(scenarios) / sizeof *(scenarios))

static void with_servers(const struct exhausted *scenarios, size_t n) {
    server = server_answering(1);
    dead = server_start((struct server_options){.id = 2, .refuse = true});
    exhaust_all(scenarios, n);
    server_stop(server);
    server_stop(dead);
}

static void requests_without_memory(void) {
    WITH_SERVERS(requests);
}

static void everything_else_without_memory(void) {
    WITH_SERVERS(others);
}

int main(void) {
    test_begin("allocations");
    RUN(requests_without_memory);
    RUN(everything_else_without_memory);
    return test_end();
}
