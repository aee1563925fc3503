/* Statistics: what they count. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"

static dplx_pool_stats_t pool_stats(dpl_ctx_t *ctx) {
    dplx_pool_stats_t stats = {.size = sizeof stats};

    CHECK_STATUS(dplx_pool_stats(ctx, &stats), DPL_SUCCESS, "the pool tells its statistics");
    return stats;
}

/* Of the host that the server is. */
static dplx_host_stats_t host_stats(dpl_ctx_t *ctx, const struct server *server) {
    dplx_host_stats_t stats[8] = {{.size = sizeof *stats}};
    int n = dplx_host_stats(ctx, stats, 8);

    for (int i = 0; i < n; i++)
        if (strcmp(stats[i].port, server_port(server)) == 0)
            return stats[i];
    REQUIRE(false, "the host is among the %d of the context", n);
    return stats[0];
}

static uint64_t sum(const uint64_t counts[DPLX_COUNTS]) {
    uint64_t total = 0;

    for (int i = 0; i < DPLX_COUNTS; i++)
        total += counts[i];
    return total;
}

/* ---- connections ------------------------------------------------------------------- */

static void connections_are_counted(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn;
    dplx_pool_stats_t stats = pool_stats(ctx);

    CHECK_INT(stats.created + stats.reused + stats.waits + sum(stats.closed), 0, "at first nothing");
    for (int i = 0; i < 5; i++)
        CHECK(answered(ctx, i), "request %d is answered", i);
    stats = pool_stats(ctx);
    CHECK_INT(stats.created, 1, "one connection was opened");
    CHECK_INT(stats.reused, 4, "and reused four times");
    CHECK_INT(stats.waits, 1, "one checkout had to wait");
    CHECK_INT(stats.failed, 0, "none failed");
    CHECK(stats.longest_wait_ns > 0 && stats.waited_ns == stats.longest_wait_ns, "for some time");
    CHECK_INT(stats.idle, 1, "it is idle");
    CHECK_INT(stats.in_use, 0, "none is in use");
    conn = checkout(ctx);
    stats = pool_stats(ctx);
    CHECK_INT(stats.idle, 0, "checked out, it is idle no more");
    CHECK_INT(stats.in_use, 1, "but in use");
    CHECK_INT(sum(stats.closed), 0, "nothing was closed");
    dpl_conn_terminate(conn);
    stats = pool_stats(ctx);
    CHECK_INT(stats.closed[DPLX_CLOSED_TERMINATED], 1, "terminated, it was closed by the caller");
    CHECK_INT(stats.in_use + stats.idle + stats.connecting, 0, "none is left");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void check_closed(dpl_ctx_t *ctx, int reason, const char *text) {
    dplx_pool_stats_t stats = pool_stats(ctx);

    CHECK_INT(stats.closed[reason], 1, "one was closed as %s", text);
    CHECK_INT(sum(stats.closed), 1, "and for no other reason");
    CHECK_STR(dplx_closing_text(reason), text, "which has a name");
}

static void stale_ones_are_counted(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK(leave_idle(ctx, 1), "a connection is idle");
    server_close_connections(server);
    sleep_ms(200);
    CHECK(answered(ctx, 1), "the next request is answered");
    check_closed(ctx, DPLX_CLOSED_STALE, "stale");
    CHECK_INT(pool_stats(ctx).reused, 0, "a stale one is not a reused one");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void old_and_worn_ones_are_counted(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn;

    CHECK(leave_idle(ctx, 1), "a connection is idle");
    ctx->conn_idle_time = 0;
    conn = checkout(ctx);
    ctx->conn_idle_time = 100;
    CHECK(conn && answered_on(conn, 1), "the next request is answered");
    dpl_conn_release(conn);
    check_closed(ctx, DPLX_CLOSED_EXPIRED, "expired");
    dpl_ctx_free(ctx);

    ctx = context_over_server(server, "");
    CHECK(leave_idle(ctx, 1), "a connection is idle");
    ctx->n_conn_max_hits = 0;
    CHECK(answered(ctx, 1), "the next request is answered");
    check_closed(ctx, DPLX_CLOSED_USED_UP, "used up");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* By name of the host: after a slow handshake, the next checkout may choose the same host again. */
static bool answered_by(dpl_ctx_t *ctx, const struct server *server, long number) {
    dpl_conn_t *conn = dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(server));
    bool good = conn && answered_on(conn, number);

    if (conn)
        dpl_conn_release(conn);
    return good;
}

static void evicted_ones_are_counted(void) {
    struct server *servers[] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");

    ctx->n_conn_max = 1;
    CHECK(answered_by(ctx, servers[0], 1) && answered_by(ctx, servers[1], 2),
          "both hosts answer in turn");
    check_closed(ctx, DPLX_CLOSED_EVICTED, "evicted");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void unread_and_failed_ones_are_counted(void) {
    struct server *server = server_start((struct server_options){.behaviour = ANSWER_AND_MORE});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);
    struct pollfd arrival;

    REQUIRE(conn && answered_on(conn, 1), "a request is answered, with more than was asked for");
    dpl_conn_release(conn);
    check_closed(ctx, DPLX_CLOSED_INCOMPLETE, "incomplete");
    dpl_ctx_free(ctx);

    ctx = context_over_server(server, "");
    conn = checkout(ctx);
    CHECK(EVENTUALLY(server_accepted(server) == 2 && server_open(server) == 1), "the server has the connection");
    server_reset_connections(server);
    arrival = (struct pollfd){.fd = conn->fd, .events = POLLIN};
    CHECK(EVENTUALLY(poll(&arrival, 1, 0) == 1), "the reset arrives");
    CHECK_STATUS(write_string(conn, "GET / HTTP/1.1\r\n\r\n", 1), DPL_FAILURE, "a write fails");
    dpl_conn_release(conn);
    check_closed(ctx, DPLX_CLOSED_FAILED, "failed");
    CHECK_INT(host_stats(ctx, server).failures[DPLX_FAULT_WRITE], 1, "the host is to blame");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void those_of_a_host_that_left_are_counted(void) {
    struct server *servers[] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");

    CHECK(answered(ctx, 1) && answered(ctx, 2), "both hosts answer in turn");
    dpl_addrlist_set_from_str(ctx->addrlist, server_name(servers[0]));
    CHECK(answered(ctx, 3), "the one that is left answers");
    check_closed(ctx, DPLX_CLOSED_LEFT, "left");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

/* ---- hosts ------------------------------------------------------------------------- */

static void hosts_are_told_apart(void) {
    struct server *servers[] = {server_start((struct server_options){.refuse = true}),
                                server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    time_t begin = time(NULL);
    dplx_host_stats_t dead, alive;

    for (int i = 0; i < 6; i++)
        CHECK(answered(ctx, i), "request %d is answered", i);
    dead = host_stats(ctx, servers[0]);
    alive = host_stats(ctx, servers[1]);
    CHECK_STR(dead.host, "127.0.0.1", "a host's name");
    CHECK_INT(dead.attempts, 1, "the dead one was tried once");
    CHECK_INT(dead.failures[DPLX_FAULT_REFUSED], 1, "and refused");
    CHECK_INT(sum(dead.failures), 1, "which is all");
    CHECK_INT(dead.state, DPLX_HOST_OUT, "it is out");
    CHECK_INT(dead.fault, DPLX_FAULT_REFUSED, "for that");
    CHECK_STR(dplx_fault_text(dead.fault), "refused", "which has a name");
    CHECK_STR(dplx_host_state_text(dead.state), "out", "as has its state");
    CHECK(dead.blacklisted_until >= begin + 10 && dead.blacklisted_until <= time(NULL) + 11,
          "for ten seconds");
    CHECK_INT(alive.state, DPLX_HOST_AVAILABLE, "the other one is available");
    CHECK_INT(alive.fault, -1, "without fault");
    CHECK_INT(alive.blacklisted_until, 0, "until no time");
    CHECK_INT(alive.attempts, 1, "one connection");
    CHECK_INT(alive.idle, 1, "is idle");
    dpl_blacklist_host(ctx, "127.0.0.1", server_port(servers[1]));
    alive = host_stats(ctx, servers[1]);
    CHECK_INT(alive.failures[DPLX_FAULT_REPORTED], 1, "blacklisting is the caller's report");
    CHECK_INT(alive.fault, DPLX_FAULT_REPORTED, "and why it is out");
    CHECK_INT(dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(servers[1]), -1),
              DPL_SUCCESS, "so is blacklisting in the list");
    CHECK_INT(host_stats(ctx, servers[1]).blacklisted_until, -1, "for ever");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void failed_checkouts_are_counted(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK(!checkout(ctx), "a dead host has no connection");
    CHECK_INT(pool_stats(ctx).failed, 1, "the checkout failed");
    CHECK_INT(pool_stats(ctx).created, 0, "nothing was opened");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void handshakes_are_counted(void) {
    struct server *server = server_start((struct server_options){.tls = TLS_ALWAYS});
    char profile[512];
    dpl_ctx_t *ctx;

    snprintf(profile, sizeof profile,
             "use_https = true\nssl_ca_list = \"%s\"\nhost = \"%s\"\npricing_dir = \"\"\n",
             authority_file(), server_name(server));
    ctx = context_from_text(profile);
    CHECK(answered(ctx, 1), "a request is answered");
    ctx->n_conn_max_hits = 0;
    CHECK(answered(ctx, 2) && answered(ctx, 3), "and two more, on other connections");
    CHECK_INT(host_stats(ctx, server).full_handshakes, 1, "one handshake was a full one");
    CHECK_INT(host_stats(ctx, server).resumed_handshakes, 2, "two resumed its session");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- arguments --------------------------------------------------------------------- */

static void sizes_are_respected(void) {
    struct server *servers[] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    struct {
        dplx_host_stats_t stats;
        uint64_t more;
    } longer[2] = {{.stats.size = sizeof *longer, .more = 7}, {.more = 7}};
    dplx_pool_stats_t pool = {.size = offsetof(dplx_pool_stats_t, created), .created = 7};
    dplx_host_stats_t host = {.size = 0};

    CHECK(answered(ctx, 1), "a request is answered");
    CHECK_STATUS(dplx_pool_stats(ctx, &pool), DPL_SUCCESS, "an older program's struct is filled in");
    CHECK(pool.idle >= 1, "as far as it goes"); /* a slow handshake brings another */
    CHECK_INT(pool.created, 7, "and no further");
    CHECK_INT(dplx_host_stats(ctx, (dplx_host_stats_t *)longer, 2), 2, "a newer program's structs too");
    CHECK(longer[1].stats.size == sizeof *longer && longer[1].stats.host[0] == '1',
          "each at its place");
    CHECK(longer[0].more == 0 && longer[1].more == 0, "what is not known is 0");
    CHECK_INT(dplx_host_stats(ctx, NULL, 0), 2, "without structs they are counted");
    CHECK_INT(dplx_host_stats(ctx, &host, 1), DPL_EINVAL, "no size is refused");
    CHECK_INT(dplx_host_stats(ctx, NULL, 1), DPL_EINVAL, "so is no array");
    CHECK_INT(dplx_host_stats(ctx, &host, -1), DPL_EINVAL, "and a negative number");
    CHECK_INT(dplx_host_stats(NULL, &host, 1), DPL_EINVAL, "and no context");
    pool.size = 4;
    CHECK_STATUS(dplx_pool_stats(ctx, &pool), DPL_EINVAL, "a size too small for itself is refused");
    CHECK_STATUS(dplx_pool_stats(ctx, NULL), DPL_EINVAL, "so is no struct");
    CHECK_STATUS(dplx_pool_stats(NULL, &pool), DPL_EINVAL, "and no context");
    CHECK_STR(dplx_fault_text(-1), "", "no fault has no name");
    CHECK_STR(dplx_closing_text(99), "", "nor has a reason that does not exist");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

/* ---- a child ----------------------------------------------------------------------- */

static void child_counts_from_zero(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *in_use[2];
    int status = -1;
    pid_t child;

    for (int i = 0; i < 2; i++)
        in_use[i] = checkout(ctx);
    CHECK(answered(ctx, 1), "one connection is idle, two are in use");
    child = fork();
    if (child == 0) {
        bool good = answered(ctx, 2);
        dplx_pool_stats_t stats = {.size = sizeof stats};

        dplx_pool_stats(ctx, &stats);
        fprintf(stderr, "# idle %d, in use %d, created %d, closed %d\n", (int)stats.idle,
                (int)stats.in_use, (int)stats.created, (int)sum(stats.closed));
        good = good && stats.idle == 1 && stats.in_use == 0 && stats.created == 1;
        good = good && stats.reused == 0 && sum(stats.closed) == 0;
        logs_collect();
        dpl_ctx_free(ctx);
        good = good && logs_count() == 0;
        execl(good ? "/bin/true" : "/bin/false", "true", NULL); /* no leak check of what it inherited */
        _exit(EXIT_FAILURE);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0,
          "a child counts its own connections, and misses none when its context is freed");
    CHECK_INT(pool_stats(ctx).in_use, 2, "the parent counts on");
    for (int i = 0; i < 2; i++)
        dpl_conn_release(in_use[i]);
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("statistics");
    RUN(connections_are_counted);
    RUN(stale_ones_are_counted);
    RUN(old_and_worn_ones_are_counted);
    RUN(evicted_ones_are_counted);
    RUN(unread_and_failed_ones_are_counted);
    RUN(those_of_a_host_that_left_are_counted);
    RUN(hosts_are_told_apart);
    RUN(failed_checkouts_are_counted);
    RUN(handshakes_are_counted);
    RUN(sizes_are_respected);
    RUN(child_counts_from_zero);
    return test_end();
}
