/* dplx_connect(): connections without a request, in bounded time; and what a connection says about itself. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"

static bool served(dpl_conn_t *conn, long number) {
    struct answer answer = ask_on(conn, number);

    return answer.status == DPL_SUCCESS && answer.number == number;
}

static void no_request_is_needed(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = dplx_connect(ctx, LIMIT_MS);

    REQUIRE(conn, "a connection is made");
    CHECK(served(conn, 1), "it serves a request");
    CHECK_STR(dplx_conn_host(conn), "127.0.0.1", "it names its host");
    CHECK_STR(dplx_conn_port(conn), server_port(server), "and the port");
    CHECK_STR(dplx_conn_address(conn), server_name(server), "and the address");
    CHECK(dplx_conn_address(conn) == dplx_conn_address(conn), "whose text stays where it is");
    dpl_conn_release(conn);
    CHECK(dplx_connect(ctx, 0) == conn, "without a wait there is the idle one");
    CHECK_STR(dplx_conn_address(conn), server_name(server), "at the same address");
    dpl_conn_terminate(conn);
    CHECK(!dplx_connect(ctx, 0), "or none");
    CHECK_INT(server_accepted(server), 1, "for which nothing is opened");
    CHECK(!dplx_connect(NULL, -1), "NULL is no context");
    CHECK_STR(dplx_last_error(), "the context is NULL", "which is said");
    CHECK(!dplx_conn_host(NULL) && !dplx_conn_port(NULL) && !dplx_conn_address(NULL),
          "no connection has no name");
    CHECK_STR(dplx_last_error(), "the connection is NULL", "which is said too");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void file_has_no_names(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = dpl_conn_open_file(ctx, open("/dev/null", O_WRONLY | O_CLOEXEC));

    CHECK(!dplx_conn_host(conn) && !dplx_conn_port(conn) && !dplx_conn_address(conn),
          "a file has no names");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void time_is_bounded_over_all_hosts(void) {
    struct server *servers[3];
    dpl_ctx_t *ctx;
    double began;

    for (int i = 0; i < 3; i++) {
        servers[i] = server_start((struct server_options){.refuse = true});
        server_go_deaf(servers[i]);
    }
    ctx = context_over_servers(servers, 3, "connection_timeout = 50");
    began = seconds_now();
    CHECK(!dplx_connect(ctx, 700), "no host answers in time");
    CHECK(seconds_now() - began >= 0.7, "for which the call waits");
    CHECK(in_time(began, 4), "and no longer");
    CHECK(strstr(dplx_last_error(), "the time of this call was over"), "it says so");
    CHECK(strstr(dplx_last_error(), server_name(servers[1])), "and names the hosts");
    CHECK_INT(hosts_available(ctx), 3, "no host is blamed for the caller's haste");
    server_restart(servers[1]);
    CHECK(dplx_connect(ctx, LIMIT_MS) != NULL, "a host that comes back in time serves");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

static void idle_connection_of_any_host_is_found(void) {
    struct server *servers[] = {server_answering(1), server_answering(2), server_answering(3)};
    dpl_ctx_t *ctx = context_over_servers(servers, 3, "");
    dpl_conn_t *conn = dplx_connect(ctx, LIMIT_MS);
    int good = 0;

    for (int i = 0; i < 6; i++) {
        dpl_conn_release(conn);
        good += dplx_connect(ctx, 0) == conn;
    }
    CHECK_INT(good, 6, "without a wait, whichever host's turn it is");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

static void time_is_bounded_at_the_limit(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = dplx_connect(ctx, LIMIT_MS);
    dplx_pool_stats_t stats = {.size = sizeof stats};
    double began;

    ctx->n_conn_max = 1;
    CHECK_STATUS(dplx_ctx_set_wait(ctx, -1), DPL_SUCCESS, "calls wait for ever");
    began = seconds_now();
    CHECK(!dplx_connect(ctx, 300), "but not this one");
    CHECK(seconds_now() - began >= 0.3 && in_time(began, 3), "which waits for its own time");
    CHECK(strstr(dplx_last_error(), "n_conn_max (1) reached"), "it names the limit");
    dplx_pool_stats(ctx, &stats);
    CHECK_INT(stats.limit_timeouts, 1, "and is counted as one that waited in vain");
    CHECK_STATUS(dplx_ctx_set_wait(ctx, 0), DPL_SUCCESS, "if calls do not wait");
    began = seconds_now();
    CHECK(!dplx_connect(ctx, 50000), "neither does this one");
    CHECK(in_time(began, 10), "it fails at once");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void statuses_have_texts(void) {
    CHECK_STR(dplx_status_text(DPL_SUCCESS), "success", "success has a text");
    CHECK_STR(dplx_status_text(DPL_ETIMEOUT), "timed out", "and a timeout");
    CHECK_STR(dplx_status_text(DPL_ELIMIT), "connection limit reached", "and the limit");
    CHECK_STR(dplx_status_text(DPL_ERANGEUNAVAIL), "range not available", "and the last one");
    for (int status = 0; status >= DPL_ERANGEUNAVAIL; status--)
        CHECK(dplx_status_text(status)[0] && strcmp(dplx_status_text(status), "unknown status") != 0,
              "status %d has one", status);
    CHECK_STR(dplx_status_text(DPL_ERANGEUNAVAIL - 1), "unknown status", "none beyond");
    CHECK_STR(dplx_status_text(1), "unknown status", "nor above 0");
    CHECK_STR(dplx_status_text(-2147483647 - 1), "unknown status", "nor at the end of the numbers");
}

int main(void) {
    test_begin("dplx_connect");
    RUN(no_request_is_needed);
    RUN(file_has_no_names);
    RUN(time_is_bounded_over_all_hosts);
    RUN(idle_connection_of_any_host_is_found);
    RUN(time_is_bounded_at_the_limit);
    RUN(statuses_have_texts);
    return test_end();
}
