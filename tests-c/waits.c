/* A full pool: calls wait for a connection, first come, first served. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"

enum { FOR_EVER = -1, LONG = 30000 }; /* milliseconds */

static struct server *server;
static dpl_ctx_t *ctx;

static void begin(int limit, int wait_ms) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
    ctx->n_conn_max = limit;
    CHECK_STATUS(dplx_ctx_set_wait(ctx, wait_ms), DPL_SUCCESS, "the time to wait is set");
}

static void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

static dplx_pool_stats_t stats(void) {
    dplx_pool_stats_t pool = {.size = sizeof pool};

    dplx_pool_stats(ctx, &pool);
    return pool;
}

/* A thread that checks out once. */
struct waiter {
    pthread_t thread;
    atomic_bool done;
    dpl_status_t status;
    double seconds;
    dpl_conn_t *conn;
};

static void *check_out(void *arg) {
    struct waiter *self = arg;
    double began = seconds_now();

    self->status = try_connect(ctx, &self->conn);
    self->seconds = seconds_now() - began;
    self->done = true;
    return NULL;
}

/* Returns when it waits behind `others`. */
static void start(struct waiter *waiter, int others) {
    *waiter = (struct waiter){.status = 1};
    pthread_create(&waiter->thread, NULL, check_out, waiter);
    REQUIRE(EVENTUALLY((int)stats().waiting == others + 1), "%d calls wait", others + 1);
}

static void join(struct waiter *waiter) {
    pthread_join(waiter->thread, NULL);
}

/* ---- until there is one ------------------------------------------------------------ */

static void released_one_ends_a_wait(void) {
    struct waiter waiter;
    dpl_conn_t *conn;

    begin(1, LONG);
    conn = checkout(ctx);
    start(&waiter, 0);
    sleep_ms(150);
    CHECK(!waiter.done, "a call waits while the only connection is in use");
    dpl_conn_release(conn);
    CHECK(EVENTUALLY(waiter.done), "until it is given back");
    join(&waiter);
    CHECK_STATUS(waiter.status, DPL_SUCCESS, "it has a connection");
    CHECK(waiter.conn == conn, "the one that was given back");
    CHECK(waiter.seconds >= 0.15, "and has waited for it");
    CHECK_INT(server_accepted(server), 1, "no other was opened");
    CHECK_INT(stats().limit_waits, 1, "the wait is counted");
    CHECK_INT(stats().limit_timeouts + stats().waiting, 0, "and is over");
    dpl_conn_release(waiter.conn);
    end();
}

static void closed_one_ends_a_wait(void) {
    struct waiter waiter;
    dpl_conn_t *conn;

    begin(1, FOR_EVER);
    conn = checkout(ctx);
    start(&waiter, 0);
    dpl_conn_terminate(conn);
    CHECK(EVENTUALLY(waiter.done), "a call waits until a connection is closed");
    join(&waiter);
    CHECK_STATUS(waiter.status, DPL_SUCCESS, "it has a new one");
    dpl_conn_terminate(waiter.conn);
    end();
}

static void *open_host(void *arg) {
    struct waiter *self = arg;

    self->conn = dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port((struct server *)self->conn));
    self->done = true;
    return NULL;
}

static void room_is_made_for_another_host(void) {
    struct server *other = server_answering(2);
    struct waiter waiter = {.conn = (dpl_conn_t *)other};
    dpl_conn_t *conns[2];

    begin(2, LONG);
    for (int i = 0; i < 2; i++)
        conns[i] = checkout(ctx);
    pthread_create(&waiter.thread, NULL, open_host, &waiter);
    CHECK(EVENTUALLY(stats().waiting == 1), "a call for a host outside the profile waits");
    dpl_conn_release(conns[0]);
    CHECK(EVENTUALLY(waiter.done), "until any connection is given back");
    join(&waiter);
    CHECK(waiter.conn && ask_on(waiter.conn, 7).server == 2, "it has one to its own host");
    CHECK(EVENTUALLY(server_open(server) == 1), "for which the other was closed");
    dpl_conn_terminate(waiter.conn);
    dpl_conn_terminate(conns[1]);
    end();
    server_stop(other);
}

static void slow_connect_holds_nobody_up(void) {
    struct server *deaf = server_start((struct server_options){.refuse = true});
    struct waiter waiters[2] = {{.conn = (dpl_conn_t *)deaf}};
    dpl_conn_t *conns[2];

    server_go_deaf(deaf);
    begin(2, LONG);
    ctx->conn_timeout = (int)patience(3);
    for (int i = 0; i < 2; i++)
        conns[i] = checkout(ctx);
    pthread_create(&waiters[0].thread, NULL, open_host, &waiters[0]);
    REQUIRE(EVENTUALLY(stats().waiting == 1), "a call for a host that does not answer waits");
    start(&waiters[1], 1);
    dpl_conn_terminate(conns[0]);
    CHECK(EVENTUALLY(stats().waiting == 1), "it leaves the queue when it may connect");
    dpl_conn_release(conns[1]);
    join(&waiters[1]);
    CHECK(waiters[1].conn == conns[1] && !waiters[0].done, "the next is served while it connects");
    dpl_conn_release(waiters[1].conn);
    join(&waiters[0]);
    CHECK(!waiters[0].conn, "it gets none");
    end();
    server_stop(deaf);
}

/* ---- until time is up -------------------------------------------------------------- */

static void time_is_bounded(void) {
    dpl_conn_t *conn, *none = NULL;
    double began;

    begin(1, 200);
    conn = checkout(ctx);
    logs_collect();
    began = seconds_now();
    CHECK_STATUS(try_connect(ctx, &none), DPL_ELIMIT, "a call ends when its time is up");
    CHECK(seconds_now() - began >= 0.2, "not before");
    CHECK(in_time(began, 3), "and not long after");
    CHECK_INT(logs_count(), 1, "one line is logged");
    CHECK_INT(logs_with("n_conn_max (1) reached: 1 connections are in use, 0 are being opened; waited 2"), 1,
              "which says how long it waited");
    CHECK_INT(blacklisted_until(ctx, server), 0, "nobody is blamed");
    CHECK(!dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(server)), "so does dpl_conn_open_host()");
    CHECK_INT(stats().limit_timeouts, 2, "both are counted");
    CHECK_INT(stats().waiting, 0, "nobody waits any more");
    dpl_conn_release(conn);
    CHECK(answered(ctx, 1), "then there is one again");
    end();
}

static void check_at_once(const char *what) {
    double began = seconds_now();

    CHECK_STATUS(try_connect(ctx, NULL), DPL_ELIMIT, "%s: a call fails", what);
    CHECK(in_time(began, 5) && stats().limit_waits == 0, "at once");
}

static void unusual_times_are_told_apart(void) {
    dpl_conn_t *conn;

    begin(1, 0);
    conn = checkout(ctx);
    check_at_once("0");
    logs_collect();
    CHECK_STATUS(dplx_ctx_set_wait(ctx, -2), DPL_EINVAL, "less than -1 is refused");
    CHECK_STATUS(dplx_ctx_set_wait(NULL, 1), DPL_EINVAL, "so is no context");
    CHECK_INT(logs_with("invalid time: -2 ms"), 1, "with a line");
    check_at_once("refused");
    CHECK_STATUS(dplx_ctx_set_wait(ctx, 2147483647), DPL_SUCCESS, "the largest number is a time");
    for (int i = 0; i < 2; i++) {
        struct waiter waiter;

        start(&waiter, 0);
        sleep_ms(300);
        CHECK(!waiter.done, "a call waits");
        dpl_conn_release(conn);
        join(&waiter);
        conn = waiter.conn;
        CHECK_STATUS(waiter.status, DPL_SUCCESS, "and is served");
        CHECK_STATUS(dplx_ctx_set_wait(ctx, -1), DPL_SUCCESS, "-1 is for ever");
    }
    dpl_conn_release(conn);
    end();
}

static dpl_conn_t *begin_with_environment(const char *text) {
    setenv("DPLX_WAIT_MS", text, 1);
    server = server_answering(1);
    ctx = context_over_server(server, "");
    unsetenv("DPLX_WAIT_MS");
    ctx->n_conn_max = 1;
    return checkout(ctx);
}

static void environment_sets_the_time(void) {
    static const char *const invalid[] = {"", "soon", "-2", "99999999999", "1 s"};
    struct waiter waiter;
    double began;
    dpl_conn_t *conn = begin_with_environment("300");

    began = seconds_now();
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ELIMIT, "DPLX_WAIT_MS: a call waits");
    CHECK(seconds_now() - began >= 0.3, "for this time");
    dpl_conn_release(conn);
    end();
    conn = begin_with_environment("-1");
    start(&waiter, 0);
    dpl_conn_release(conn);
    join(&waiter);
    CHECK_STATUS(waiter.status, DPL_SUCCESS, "-1 waits for ever");
    dpl_conn_release(waiter.conn);
    end();
    for (int i = 0; i < (int)(sizeof invalid / sizeof *invalid); i++) {
        logs_collect();
        conn = begin_with_environment(invalid[i]);
        CHECK_INT(logs_with("is no time in milliseconds"), 1, "'%s' is refused with a line", invalid[i]);
        check_at_once(invalid[i]);
        dpl_conn_release(conn);
        end();
    }
}

/* ---- who is served ----------------------------------------------------------------- */

enum { QUEUE = 8 };

static void calls_are_served_in_order(void) {
    struct waiter waiters[QUEUE];
    dpl_conn_t *conn;

    begin(1, LONG);
    conn = checkout(ctx);
    for (int i = 0; i < QUEUE; i++)
        start(&waiters[i], i);
    for (int i = 0; i < QUEUE; i++) {
        int served = 0;

        (i % 2 ? dpl_conn_terminate : dpl_conn_release)(conn);
        join(&waiters[i]);
        conn = waiters[i].conn;
        for (int k = 0; k < QUEUE; k++)
            served += waiters[k].done;
        CHECK(conn && served == i + 1, "call %d is the next to be served", i + 1);
    }
    dpl_conn_release(conn);
    end();
}

/* What makes room wakes at once: a look of its own would cost a call nearly 100 ms each time. */
static void no_wakeup_is_lost(void) {
    double slept = 0;
    dpl_conn_t *conn;

    begin(1, LONG);
    conn = checkout(ctx);
    for (int i = 0; i < 100; i++) {
        struct waiter waiter;
        double released;

        start(&waiter, 0);
        released = seconds_now();
        (i % 2 ? dpl_conn_terminate : dpl_conn_release)(conn);
        join(&waiter);
        slept += seconds_now() - released;
        conn = waiter.conn;
        REQUIRE(conn, "call %d is served", i + 1);
    }
    fprintf(stderr, "# 100 calls were woken within %.1f ms together\n", slept * 1000);
    CHECK(slept < 2 || machine_is_slow(), "100 calls are woken at once");
    dpl_conn_release(conn);
    end();
}

static void *check_out_and_in(void *arg) {
    struct waiter *self = arg;

    try_connect(ctx, &self->conn);
    self->done = true;
    sleep_ms(1);
    dpl_conn_release(self->conn);
    return NULL;
}

/* One that gives back and comes again at once is faster than one that must wake first. */
static void nobody_pushes_in(void) {
    int pushed_in = 0;
    dpl_conn_t *conn;

    begin(1, LONG);
    conn = checkout(ctx);
    for (int i = 0; i < 100; i++) {
        struct waiter waiter = {.status = 1};

        pthread_create(&waiter.thread, NULL, check_out_and_in, &waiter);
        REQUIRE(EVENTUALLY(stats().waiting == 1), "a call waits");
        dpl_conn_release(conn);
        conn = checkout(ctx);
        pushed_in += !waiter.done;
        if (!waiter.done) {
            dpl_conn_release(conn);
            conn = NULL;
        }
        join(&waiter);
        conn = conn ? conn : checkout(ctx);
    }
    CHECK_INT(pushed_in, 0, "a call that waits is served before one that comes later");
    dpl_conn_release(conn);
    end();
}

enum { THREADS = 64, CONNECTIONS = 4 };

struct sharer {
    pthread_t thread;
    long turns;
    double longest;
    int failures;
};

static atomic_bool may_start, finished;

static void *take_turns(void *arg) {
    struct sharer *self = arg;

    while (!may_start)
        sched_yield();
    while (!finished) {
        double began = seconds_now();
        dpl_conn_t *conn = checkout(ctx);
        double took = seconds_now() - began;

        self->longest = took > self->longest ? took : self->longest;
        self->failures += !conn;
        self->turns++;
        if (!conn)
            continue;
        if (self->turns % 10 == 0) {
            dpl_conn_terminate(conn);
        } else {
            sched_yield();
            dpl_conn_release(conn);
        }
    }
    return NULL;
}

static void turns_are_shared(void) {
    static struct sharer sharers[THREADS];
    long all = 0, least = 1L << 60, most = 0;
    int failures = 0;
    double longest = 0;

    begin(CONNECTIONS, LONG);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&sharers[i].thread, NULL, take_turns, &sharers[i]);
    may_start = true;
    sleep_ms((int)(patience(2) * 1000));
    finished = true;
    for (int i = 0; i < THREADS; i++) {
        struct sharer *sharer = &sharers[i];

        pthread_join(sharer->thread, NULL);
        all += sharer->turns;
        failures += sharer->failures;
        least = sharer->turns < least ? sharer->turns : least;
        most = sharer->turns > most ? sharer->turns : most;
        longest = sharer->longest > longest ? sharer->longest : longest;
    }
    fprintf(stderr, "# %d threads, %d connections: %ld turns; shares from %ld to %ld, %.1f on average; "
                    "the longest wait took %.1f ms\n",
            THREADS, CONNECTIONS, all, least, most, (double)all / THREADS, longest * 1000);
    CHECK_INT(failures, 0, "64 threads share 4 connections, and each call is served");
    CHECK(least * 2 >= all / THREADS, "no thread has less than half of its share");
    CHECK(most <= 2 * (all / THREADS) + 2, "none has more than twice its share");
    CHECK(longest < patience(5), "no call waits for long");
    CHECK_INT(stats().waiting, 0, "nobody waits any more");
    end();
}

/* ---- limits that change ------------------------------------------------------------ */

static void raised_limit_is_noticed(void) {
    struct waiter waiters[4];
    dpl_conn_t *conn;
    double began;

    begin(1, LONG);
    conn = checkout(ctx);
    for (int i = 0; i < 4; i++)
        start(&waiters[i], i);
    began = seconds_now();
    ctx->n_conn_max = 5;
    for (int i = 0; i < 4; i++) {
        join(&waiters[i]);
        CHECK(waiters[i].conn != NULL, "call %d is served", i + 1);
    }
    CHECK(in_time(began, 2), "soon after the limit is raised");
    for (int i = 0; i < 4; i++)
        dpl_conn_release(waiters[i].conn);
    dpl_conn_release(conn);
    end();
}

static void lowered_limit_is_kept(void) {
    struct waiter waiter;
    dpl_conn_t *conns[3];

    begin(3, LONG);
    for (int i = 0; i < 3; i++)
        conns[i] = checkout(ctx);
    start(&waiter, 0);
    ctx->n_conn_max = 1;
    dpl_conn_terminate(conns[0]);
    dpl_conn_terminate(conns[1]);
    sleep_ms(300);
    CHECK(!waiter.done, "as long as there are as many as a lower limit allows, a call waits");
    dpl_conn_release(conns[2]);
    join(&waiter);
    CHECK(waiter.conn == conns[2], "then it is served");
    CHECK_INT(ctx->n_conn_fds, 1, "within the limit");
    dpl_conn_release(waiter.conn);
    end();
}

static void shorter_time_counts_at_once(void) {
    struct waiter waiter;
    dpl_conn_t *conn;

    begin(1, FOR_EVER);
    conn = checkout(ctx);
    start(&waiter, 0);
    CHECK_STATUS(dplx_ctx_set_wait(ctx, 0), DPL_SUCCESS, "the time is set to 0");
    CHECK(EVENTUALLY(waiter.done), "which ends the waits");
    join(&waiter);
    CHECK_STATUS(waiter.status, DPL_ELIMIT, "as time does");
    dpl_conn_release(conn);
    end();
}

/* ---- what else happens ------------------------------------------------------------- */

static void failure_lets_the_next_one_try(void) {
    struct waiter waiters[3];
    dpl_conn_t *conn;

    begin(1, FOR_EVER);
    conn = checkout(ctx);
    for (int i = 0; i < 3; i++)
        start(&waiters[i], i);
    server_kill(server);
    dpl_conn_terminate(conn);
    for (int i = 0; i < 3; i++) {
        CHECK(EVENTUALLY(waiters[i].done), "call %d ends", i + 1);
        join(&waiters[i]);
        CHECK_STATUS(waiters[i].status, DPL_FAILURE, "since the host is down");
    }
    end();
}

static void signals_do_not_prolong_a_wait(void) {
    dpl_conn_t *conn;
    double began;

    begin(1, 600);
    conn = checkout(ctx);
    storm_begin(2000);
    began = seconds_now();
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ELIMIT, "a call waits in a rain of signals");
    CHECK(seconds_now() - began >= 0.6, "no shorter");
    CHECK(in_time(began, 3), "and no longer");
    storm_end();
    dpl_conn_release(conn);
    end();
}

static void *wait_until_cancelled(void *arg) {
    check_out(arg);
    pthread_testcancel();
    return NULL;
}

static void cancelled_thread_ends_after_its_wait(void) {
    struct waiter waiter = {.status = 1};
    void *result = NULL;
    dpl_conn_t *conn;

    begin(1, 700);
    conn = checkout(ctx);
    pthread_create(&waiter.thread, NULL, wait_until_cancelled, &waiter);
    REQUIRE(EVENTUALLY(stats().waiting == 1), "a thread waits");
    pthread_cancel(waiter.thread);
    pthread_join(waiter.thread, &result);
    CHECK(result == PTHREAD_CANCELED, "it is cancelled");
    CHECK_STATUS(waiter.status, DPL_ELIMIT, "after its call has come to its end");
    CHECK_INT(stats().waiting, 0, "and has left the queue");
    dpl_conn_release(conn);
    CHECK(answered(ctx, 1), "the connection serves others");
    end();
}

static void child_has_no_waiters_of_its_parent(void) {
    struct waiter waiters[4];
    dpl_conn_t *conn;

    begin(1, LONG);
    conn = checkout(ctx);
    for (int i = 0; i < 4; i++)
        start(&waiters[i], i);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();

        if (child == 0) {
            dpl_conn_t *own = NULL;
            bool good = stats().waiting == 0 && try_connect(ctx, &own) == DPL_SUCCESS;

            dplx_ctx_set_wait(ctx, 50);
            good = good && try_connect(ctx, NULL) == DPL_ELIMIT && stats().limit_timeouts == 1;
            dpl_conn_terminate(own);
            end_child(good && answered(ctx, 2));
        }
        CHECK(ended_well(child), "child %d connects, and waits by itself", i + 1);
    }
    for (int i = 0; i < 4; i++) {
        dpl_conn_release(conn);
        join(&waiters[i]);
        CHECK(waiters[i].conn != NULL, "call %d of the parent is served", i + 1);
        conn = waiters[i].conn;
    }
    dpl_conn_release(conn);
    end();
}

static dpl_req_t *requests[4];

static void *check_out_from_a_context_that_goes(void *arg) {
    struct waiter *self = arg;

    self->status = dpl_try_connect(ctx, requests[self->seconds > 0], &self->conn);
    self->done = true;
    return NULL;
}

/* An error of the program, which must not become a fault of the process. */
static void freed_context_ends_the_waits(void) {
    struct waiter waiters[2] = {{.seconds = 0}, {.seconds = 1}};
    dpl_conn_t *conn;

    begin(1, FOR_EVER);
    conn = checkout(ctx);
    for (int i = 0; i < 2; i++) {
        requests[i] = dplx_req_new(ctx, NULL);
        pthread_create(&waiters[i].thread, NULL, check_out_from_a_context_that_goes, &waiters[i]);
        REQUIRE(EVENTUALLY((int)stats().waiting == i + 1), "%d calls wait", i + 1);
    }
    logs_collect();
    dpl_ctx_free(ctx);
    for (int i = 0; i < 2; i++) {
        CHECK(waiters[i].done || EVENTUALLY(waiters[i].done), "call %d ends", i + 1);
        join(&waiters[i]);
        CHECK_STATUS(waiters[i].status, DPL_EINVAL, "with an error");
        dplx_req_free(requests[i]);
    }
    CHECK_INT(logs_with("calls still wait for a connection of this context: 2"), 1, "which is logged");
    CHECK_INT(logs_with("the context was freed while this call waited"), 2, "by them too");
    dpl_conn_terminate(conn);
    server_stop(server);
}

int main(void) {
    test_begin("waits");
    RUN(released_one_ends_a_wait);
    RUN(closed_one_ends_a_wait);
    RUN(room_is_made_for_another_host);
    RUN(slow_connect_holds_nobody_up);
    RUN(time_is_bounded);
    RUN(unusual_times_are_told_apart);
    RUN(environment_sets_the_time);
    RUN(calls_are_served_in_order);
    RUN(no_wakeup_is_lost);
    RUN(nobody_pushes_in);
    RUN(turns_are_shared);
    RUN(raised_limit_is_noticed);
    RUN(lowered_limit_is_kept);
    RUN(shorter_time_counts_at_once);
    RUN(failure_lets_the_next_one_try);
    RUN(signals_do_not_prolong_a_wait);
    RUN(cancelled_thread_ends_after_its_wait);
    RUN(child_has_no_waiters_of_its_parent);
    RUN(freed_context_ends_the_waits);
    return test_end();
}
