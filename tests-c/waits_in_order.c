/* A full pool: the calls that wait for a connection are served in their order. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/waiters.h"

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

int main(void) {
    test_begin("waits_in_order");
    RUN(calls_are_served_in_order);
    RUN(no_wakeup_is_lost);
    RUN(nobody_pushes_in);
    RUN(turns_are_shared);
    RUN(failure_lets_the_next_one_try);
    RUN(child_has_no_waiters_of_its_parent);
    return test_end();
}
