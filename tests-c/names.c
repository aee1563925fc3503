/* Hosts by name, by IPv6 address, and without the host list. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"

static const char no_such_name[] = "a-label-of-more-than-sixty-three-characters-which-no-resolver-"
                                   "ever-passes-on-to-any-server";

static bool has_ipv6(void) {
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

static void host_has_a_name(void) {
    struct server *server = server_answering(1);
    char hosts[64];
    dpl_ctx_t *ctx;
    dpl_req_t *req;
    dpl_conn_t *conn = NULL;

    snprintf(hosts, sizeof hosts, "localhost:%s", server_port(server));
    ctx = context_over(hosts, "");
    REQUIRE(ctx, "a context over localhost is made");
    req = request_new(ctx);
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "it is connected to");
    CHECK_STR(req->host, "localhost", "the request has the name as the profile wrote it");
    CHECK_STR(conn->host, "localhost", "the connection too");
    CHECK(answered_on(conn, 1), "the host answers");
    dpl_conn_release(conn);
    CHECK(answered(ctx, 2), "and again");
    CHECK_INT(server_accepted(server), 1, "on the same connection");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void host_has_an_ipv6_address(void) {
    struct server *server;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;

    if (!has_ipv6()) {
        check_skip("no IPv6 here");
        return;
    }
    server = server_start((struct server_options){.address = "::1", .id = 6});
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context over [::1] is made");
    conn = checkout(ctx);
    REQUIRE(conn, "it is connected to");
    CHECK(memcmp(&conn->hash_info.addr.v6, &in6addr_loopback, 16) == 0,
          "hash_info has its address");
    CHECK_INT(ask_on(conn, 1).server, 6, "the host answers");
    dpl_conn_release(conn);
    CHECK(answered(ctx, 2), "and again");
    CHECK_INT(server_accepted(server), 1, "on the same connection");
    server_kill(server);
    CHECK_STATUS(ask(ctx, 3).status, DPL_FAILURE, "when it is gone, a request fails");
    CHECK_INT(hosts_available(ctx), 0, "and the host is out");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void unknown_name_makes_no_context(void) {
    CHECK(context_over(no_such_name, "") == NULL, "a profile with an unknown host is refused");
}

/* ---- without the host list --------------------------------------------------------------------
 */

static void host_is_opened_by_name_and_address(void) {
    static const struct {
        int family;
        const char *host;
    } ways[] = {{AF_INET, "127.0.0.1"}, {AF_UNSPEC, "127.0.0.1"}, {AF_INET, "localhost"}};
    struct server *listed = server_answering(1);
    struct server *server = server_answering(2);
    dpl_ctx_t *ctx = context_over_server(listed, "");

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        dpl_conn_t *conn =
            dpl_conn_open_host(ctx, ways[i].family, ways[i].host, server_port(server));

        REQUIRE(conn, "%s is opened", ways[i].host);
        CHECK_INT(ask_on(conn, 1).server, 2, "%s answers", ways[i].host);
        CHECK_INT(ctx->n_conn_fds, 1, "it counts as a connection");
        dpl_conn_terminate(conn);
    }
    CHECK_INT(server_requests(listed), 0, "the host in the list was not asked");
    dpl_ctx_free(ctx);
    server_stop(listed);
    server_stop(server);
}

static void opened_host_is_pooled(void) {
    struct server *listed = server_answering(1);
    struct server *server = server_answering(2);
    dpl_ctx_t *ctx = context_over_server(listed, "");

    for (unsigned i = 0; i < 3; i++) {
        dpl_conn_t *conn = dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(server));

        REQUIRE(conn, "it is opened");
        CHECK_INT(conn->n_hits, i, "n_hits at opening %u", i + 1);
        CHECK(answered_on(conn, i), "it answers");
        dpl_conn_release(conn);
    }
    CHECK_INT(server_accepted(server), 1, "all on one connection");
    dpl_ctx_free(ctx);
    server_stop(listed);
    server_stop(server);
}

static void opened_host_may_be_ipv6(void) {
    struct server *listed = server_answering(1);
    struct server *server;
    dpl_ctx_t *ctx = context_over_server(listed, "");
    dpl_conn_t *conn;

    if (has_ipv6()) {
        server = server_start((struct server_options){.address = "::1", .id = 6});
        conn = dpl_conn_open_host(ctx, AF_INET6, "::1", server_port(server));
        REQUIRE(conn, "::1 is opened");
        CHECK_INT(ask_on(conn, 1).server, 6, "and answers");
        dpl_conn_release(conn);
        server_stop(server);
    } else {
        check_skip("no IPv6 here");
    }
    dpl_ctx_free(ctx);
    server_stop(listed);
}

static void host_that_cannot_be_opened_is_null(void) {
    struct server *listed = server_answering(1);
    struct server *dead = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = context_over_server(listed, "");

    CHECK(dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(dead)) == NULL, "refused");
    CHECK(dpl_conn_open_host(ctx, AF_INET, no_such_name, "80") == NULL, "unknown");
    CHECK_INT(ctx->n_conn_fds, 0, "nothing is counted");
    CHECK(answered(ctx, 1), "the host in the list answers");
    dpl_ctx_free(ctx);
    server_stop(listed);
    server_stop(dead);
}

int main(void) {
    test_begin("names");
    RUN(host_has_a_name);
    RUN(host_has_an_ipv6_address);
    RUN(unknown_name_makes_no_context);
    RUN(host_is_opened_by_name_and_address);
    RUN(opened_host_is_pooled);
    RUN(opened_host_may_be_ipv6);
    RUN(host_that_cannot_be_opened_is_null);
    return test_end();
}
