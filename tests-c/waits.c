/* A full pool: what ends the wait of a call for a connection. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"
#include "support/waiters.h"

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
    static const char *const invalid[] = {" ", "soon", "-2", "99999999999", "1 s"};
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
    logs_collect();
    conn = begin_with_environment("");
    CHECK_INT(logs_with("DPLX_WAIT_MS"), 0, "an empty one counts as none");
    check_at_once("an empty one");
    dpl_conn_release(conn);
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
    RUN(raised_limit_is_noticed);
    RUN(lowered_limit_is_kept);
    RUN(shorter_time_counts_at_once);
    RUN(signals_do_not_prolong_a_wait);
    RUN(cancelled_thread_ends_after_its_wait);
    RUN(freed_context_ends_the_waits);
    return test_end();
}
