/* Idle connections that went bad while nobody looked: no request may notice. */
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

enum { MANY = 100 };

/* Waits until the client's kernel knows what the server did to an idle connection. */
static void let_it_arrive(void) {
    sleep_ms(200);
}

static void check_not_reused_after(void (*spoil)(struct server *)) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK(leave_idle(ctx, 1), "a connection serves and is idle");
    spoil(server);
    let_it_arrive();
    CHECK(answered(ctx, 1), "the next request is answered");
    CHECK_INT(server_accepted(server), 2, "by a new connection");
    CHECK_INT(ctx->n_conn_fds, 1, "the old one is closed");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void closed_connection_is_not_reused(void) {
    check_not_reused_after(server_close_connections);
}

static void reset_connection_is_not_reused(void) {
    check_not_reused_after(server_reset_connections);
}

static void connection_with_unasked_bytes_is_not_reused(void) {
    check_not_reused_after(server_send_unasked);
}

static void connection_with_unread_bytes_is_not_pooled(void) {
    struct server *server = server_start((struct server_options){.behaviour = ANSWER_AND_MORE});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn && answered_on(conn, 1), "a request is answered");
    CHECK(conn->cc > conn->read_buf_pos, "more came than was asked for");
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "released, the connection is closed");
    CHECK(EVENTUALLY(server_open(server) == 0), "which the server sees");
    server_behave(server, ANSWER);
    CHECK(answered(ctx, 2), "the next request gets its own answer");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void unread_reply_does_not_answer_the_next_request(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn && send_get(conn, 1) == DPL_SUCCESS, "a request is sent");
    CHECK(EVENTUALLY(server_requests(server) == 1), "the server answers");
    let_it_arrive();
    dpl_conn_release(conn); /* without having read the reply */
    CHECK(answered(ctx, 2), "the next request gets its own answer");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void server_restart_goes_unnoticed(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    int good = 0;

    ctx->n_conn_max_hits = 2 * MANY; /* so that one connection could serve all that follow */
    REQUIRE(leave_idle(ctx, MANY), "connections serve and are idle");
    CHECK_INT(ctx->n_conn_fds, MANY, "there are 100 of them");
    server_kill(server);
    server_restart(server);
    for (int i = 0; i < MANY; i++)
        good += answered(ctx, i);
    CHECK_INT(good, MANY, "after a restart of the server, 100 requests are answered");
    CHECK_INT(ctx->n_conn_fds, 1, "and no stale connection is left");
    CHECK_INT(server_accepted(server), MANY + 1, "by one new connection");
    dpl_ctx_free(ctx);
    server_stop(server);
}

struct worker {
    pthread_t thread;
    dpl_ctx_t *ctx;
    int good;
};

static void *ask_many(void *arg) {
    struct worker *worker = arg;

    for (int i = 0; i < MANY; i++)
        worker->good += answered(worker->ctx, i);
    return NULL;
}

/* Once a thread finds one of them stale, no thread may use the others. */
static void server_restart_goes_unnoticed_by_threads(void) {
    struct server *servers[] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    struct worker workers[8];
    int good = 0;

    REQUIRE(leave_idle(ctx, 2 * MANY), "connections to two servers serve and are idle");
    server_kill(servers[0]);
    server_restart(servers[0]);
    for (int i = 0; i < 8; i++) {
        workers[i] = (struct worker){.ctx = ctx};
        pthread_create(&workers[i].thread, NULL, ask_many, &workers[i]);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(workers[i].thread, NULL);
        good += workers[i].good;
    }
    CHECK_INT(good, 8 * MANY, "one is restarted: 800 requests of 8 threads are answered");
    CHECK_INT(server_accepted(servers[1]), MANY, "the other keeps its connections");
    CHECK_INT(hosts_available(ctx), 2, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void dead_server_is_a_failure(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    REQUIRE(leave_idle(ctx, 10), "connections serve and are idle");
    server_kill(server);
    let_it_arrive();
    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "the server is gone, a request fails");
    CHECK_INT(ctx->n_conn_fds, 0, "no connection is left");
    CHECK(blacklisted_until(ctx, server) != 0, "the host is out");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void server_that_closes_after_each_reply_is_served(void) {
    struct server *server = server_start((struct server_options){.requests_per_connection = 1});
    dpl_ctx_t *ctx = context_over_server(server, "");

    for (int i = 1; i <= 5; i++) {
        CHECK(answered(ctx, i), "request %d is answered", i);
        CHECK(EVENTUALLY(server_open(server) == 0), "and the server closes");
        let_it_arrive();
    }
    CHECK_INT(server_accepted(server), 5, "each had a connection of its own");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* A server may close just when it is asked again: that is stale too, and no fault of the host. */
static void hang_up_on_reuse_is_not_the_hosts_fault(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK(leave_idle(ctx, 1), "a connection serves and is idle");
    server_behave(server, HANG_UP);
    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "asked again, the server hangs up");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
    CHECK_STATUS(ask(ctx, 2).status, DPL_FAILURE, "on a new connection it hangs up again");
    CHECK(blacklisted_until(ctx, server) != 0, "and now it is");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("stale");
    RUN(closed_connection_is_not_reused);
    RUN(reset_connection_is_not_reused);
    RUN(connection_with_unasked_bytes_is_not_reused);
    RUN(connection_with_unread_bytes_is_not_pooled);
    RUN(unread_reply_does_not_answer_the_next_request);
    RUN(server_restart_goes_unnoticed);
    RUN(server_restart_goes_unnoticed_by_threads);
    RUN(dead_server_is_a_failure);
    RUN(server_that_closes_after_each_reply_is_served);
    RUN(hang_up_on_reuse_is_not_the_hosts_fault);
    return test_end();
}
