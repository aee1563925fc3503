/* Limits of a server on its connections: they are learned, and then no request suffers from them. */
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"

/* Longer than 100 ms, the least idle timeout that is learned; a quarter of it is the tolerance. */
enum { IDLE_MS = 400, MANY = 10 };

static dplx_host_stats_t host_stats(dpl_ctx_t *ctx) {
    dplx_host_stats_t stats = {.size = sizeof stats};

    REQUIRE(dplx_host_stats(ctx, &stats, 1) == 1, "the host has statistics");
    return stats;
}

static uint64_t closed_as(dpl_ctx_t *ctx, int reason) {
    dplx_pool_stats_t stats = {.size = sizeof stats};

    dplx_pool_stats(ctx, &stats);
    return stats.closed[reason];
}

static bool nothing_is_learned(dpl_ctx_t *ctx) {
    dplx_host_stats_t stats = host_stats(ctx);

    return stats.idle_limit_ms == 0 && stats.use_limit == 0;
}

/* ---- idle timeouts ------------------------------------------------------------------- */

/* Requests far enough from each other that the server closes in between, until its idle timeout is known. Returns
 * how many were not answered. */
static int learn_idle_limit(dpl_ctx_t *ctx, struct server *server, bool sees_the_end) {
    int failed = !answered(ctx, 0);

    for (int i = 1; i <= MANY && host_stats(ctx).idle_limit_ms == 0; i++) {
        if (sees_the_end)
            EVENTUALLY(server_open(server) == 0);
        sleep_ms(sees_the_end ? 200 : IDLE_MS + 20);
        failed += !answered(ctx, i);
    }
    return failed;
}

/* An idle connection is used up to the limit, and no longer. */
static void check_idle_limit(dpl_ctx_t *ctx, struct server *server, bool saw_the_end) {
    long limit = (long)host_stats(ctx).idle_limit_ms, accepted;
    uint64_t stale = closed_as(ctx, DPLX_CLOSED_STALE), expired;

    CHECK(limit > IDLE_MS / 2, "idle connections are used nearly as long as the server keeps them");
    CHECK(limit < IDLE_MS || !saw_the_end || machine_is_slow(), "but not as long");
    for (int i = 1; i <= 4; i++) {
        CHECK(answered(ctx, i), "request %d is answered", i);
        expired = closed_as(ctx, DPLX_CLOSED_EXPIRED);
        sleep_ms((int)limit + 15);
        CHECK(answered(ctx, i), "so is one after a pause as long as that");
        CHECK(closed_as(ctx, DPLX_CLOSED_EXPIRED) > expired, "whose connection is new");
    }
    CHECK(closed_as(ctx, DPLX_CLOSED_STALE) == stale, "no connection went stale");
    accepted = server_accepted(server);
    for (int i = 0; i < 4; i++)
        CHECK(answered(ctx, i), "without pauses, request %d is answered", i);
    CHECK(server_accepted(server) == accepted || machine_is_slow(), "by the connection that is there");
}

static void idle_timeout_is_learned(void) {
    struct server *server = server_start((struct server_options){.idle_ms = IDLE_MS});
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK_INT(learn_idle_limit(ctx, server, true), 0, "the server closes idle connections, no request fails");
    CHECK(closed_as(ctx, DPLX_CLOSED_STALE) <= 3 || machine_is_slow(), "two or three show its limit");
    check_idle_limit(ctx, server, true);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Nothing is seen on the connection, as when the request and the server's close cross, or when a firewall has
 * forgotten it. */
static void idle_timeout_is_learned_from_failures(void) {
    struct server *server =
        server_start((struct server_options){.idle_ms = IDLE_MS, .notices_late = true});
    dpl_ctx_t *ctx = context_over_server(server, "");
    int failed = learn_idle_limit(ctx, server, false);

    CHECK(failed <= 3 || machine_is_slow(), "two or three requests fail, which shows the limit");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
    check_idle_limit(ctx, server, false);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void limit_of_the_context_stays(void) {
    struct server *server = server_start((struct server_options){.idle_ms = IDLE_MS});
    dpl_ctx_t *ctx = context_over_server(server, "");

    learn_idle_limit(ctx, server, true);
    ctx->conn_idle_time = 0;
    for (int i = 0; i < 3; i++)
        CHECK(answered(ctx, i), "request %d is answered", i);
    CHECK(closed_as(ctx, DPLX_CLOSED_EXPIRED) >= 3, "each by a connection of its own");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- numbers of requests ------------------------------------------------------------- */

static void number_of_requests_is_learned(void) {
    struct server *server = server_start((struct server_options){.requests_per_connection = 3});
    dpl_ctx_t *ctx = context_over_server(server, "");
    uint64_t stale;
    int asked = 0;

    for (; asked < 3 * MANY && host_stats(ctx).use_limit == 0; asked++) {
        CHECK(asked > 7 || answered(ctx, asked), "request %d is answered", asked);
        if (asked > 7)
            answered(ctx, asked);
        if (asked % 3 == 2) {
            EVENTUALLY(server_open(server) == 0);
            sleep_ms(20);
        }
    }
    CHECK(asked == 7 || machine_is_slow(), "two connections show that each serves three times");
    REQUIRE(host_stats(ctx).use_limit == 3, "the limit is known");
    stale = closed_as(ctx, DPLX_CLOSED_STALE);
    for (int i = 0; i < 9; i++)
        CHECK(answered(ctx, i), "request %d after that is answered", i);
    CHECK(closed_as(ctx, DPLX_CLOSED_STALE) == stale, "no connection went stale");
    CHECK(closed_as(ctx, DPLX_CLOSED_USED_UP) >= 3, "they are closed after three requests");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- what teaches nothing ------------------------------------------------------------ */

/* Something happens to a connection that has been idle for a while, and to another that has been for longer. */
static void spoil_idle(dpl_ctx_t *ctx, struct server *server, void (*spoil)(struct server *), bool two) {
    dpl_conn_t *older = two ? checkout(ctx) : NULL, *newer = checkout(ctx);

    REQUIRE(newer && (older || !two), "connections are in use");
    CHECK(answered_on(newer, 1) && (!two || answered_on(older, 2)), "and serve");
    if (two) {
        dpl_conn_release(older);
        sleep_ms(400);
    }
    dpl_conn_release(newer);
    sleep_ms(300);
    spoil(server);
    sleep_ms(200);
}

static void kill_and_restart(struct server *server) {
    server_kill(server);
    server_restart(server);
}

static void check_nothing_is_learned_from(void (*spoil)(struct server *), bool two) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    for (int i = 0; i < 3; i++) {
        spoil_idle(ctx, server, spoil, two);
        CHECK(answered(ctx, 3), "the next request is answered");
        CHECK(nothing_is_learned(ctx), "nothing is learned");
    }
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void restart_teaches_nothing(void) {
    check_nothing_is_learned_from(kill_and_restart, true);
}

static void reset_teaches_nothing(void) {
    check_nothing_is_learned_from(server_reset_connections, false);
}

static void unasked_bytes_teach_nothing(void) {
    check_nothing_is_learned_from(server_send_unasked, false);
}

static void hang_up_on_busy_connections_teaches_no_idle_time(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    for (int i = 0; i < 4; i++) {
        for (int j = 0; j <= i; j++)
            CHECK(answered(ctx, j), "request %d is answered", j);
        server_behave(server, HANG_UP);
        CHECK_STATUS(ask(ctx, 9).status, DPL_FAILURE, "then the server hangs up");
        server_behave(server, ANSWER);
    }
    CHECK(nothing_is_learned(ctx), "nothing is learned: each had served another number of requests");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("server_limits");
    RUN(idle_timeout_is_learned);
    RUN(idle_timeout_is_learned_from_failures);
    RUN(limit_of_the_context_stays);
    RUN(number_of_requests_is_learned);
    RUN(restart_teaches_nothing);
    RUN(reset_teaches_nothing);
    RUN(unasked_bytes_teach_nothing);
    RUN(hang_up_on_busy_connections_teaches_no_idle_time);
    return test_end();
}
