/* Hosts by name, by IPv6 address, and without the host list. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/namespace.h"

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

/* Names of one server, and the name that the request gets. */
static void check_answers_as(struct server *server, const char *host, const char *told) {
    char hosts[128];
    dpl_ctx_t *ctx;
    dpl_req_t *req;
    dpl_conn_t *conn = NULL;

    snprintf(hosts, sizeof hosts, "%s:%s", host, server_port(server));
    ctx = context_over(hosts, "");
    REQUIRE(ctx, "a context over %s is made", host);
    req = request_new(ctx);
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "%s is connected to", host);
    CHECK_STR(req->host, told, "the request has the host");
    CHECK(answered_on(conn, 1), "it answers");
    /* Droplet's reply reader blacklists by the connection's host, too. */
    dpl_blacklist_host(ctx, conn->host, conn->port);
    CHECK_INT(hosts_available(ctx), 0, "by the name that its connection has it is out");
    dpl_conn_terminate(conn);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
}

/* Over TLS the certificate is for the address. */
static void address_may_be_written_in_other_ways(void) {
    struct server *server = server_answering(1);

    check_answers_as(server, "127.1", "127.1");
    check_answers_as(server, "0x7f000001", "0x7f000001");
    check_answers_as(server, "[127.0.0.1]", "127.0.0.1");
    check_answers_as(server, "[::ffff:127.0.0.1]", "::ffff:127.0.0.1");
    server_stop(server);
}

/* The zone says something to this machine alone (RFC 6874). */
static void zone_is_kept_from_the_server(void) {
    struct server *server;

    if (!own_network())
        return;
    if (!add_ipv6_address("fe80::1")) {
        check_skip("no IPv6 here");
        return;
    }
    server = server_start((struct server_options){.address = "::", .tls_names = "IP:fe80::1"});
    check_answers_as(server, "[fe80::1%lo]", "fe80::1");
    server_stop(server);
}

static void line_end_of_windows_does_no_harm(void) {
    struct server *server = server_answering(1);
    char hosts[64];
    dpl_ctx_t *ctx;

    snprintf(hosts, sizeof hosts, "%s\r", server_name(server));
    ctx = context_over(hosts, "");
    REQUIRE(ctx, "a context is made of a profile with a line end of Windows");
    CHECK(answered(ctx, 1), "its host answers");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void slash_behind_a_host_does_no_harm(void) {
    struct server *server = server_answering(1);
    char hosts[64];
    dpl_ctx_t *ctx;

    logs_collect();
    snprintf(hosts, sizeof hosts, "%s/", server_name(server));
    ctx = context_over(hosts, "");
    REQUIRE(ctx, "a context over a host with a slash behind it is made");
    CHECK_INT(logs_with("has no effect"), 1, "the log warns of it");
    CHECK(answered(ctx, 1), "the host answers");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Nothing has changed: neither what is idle nor what is in use is lost. */
static void same_hosts_keep_their_connections(void) {
    enum { IDLE = 3 };
    struct server *server = server_answering(1);
    char hosts[64];
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
    int good = 0;

    snprintf(hosts, sizeof hosts, "localhost:%s", server_port(server));
    ctx = context_over(hosts, "");
    REQUIRE(leave_idle(ctx, IDLE), "connections are idle");
    conn = checkout(ctx);
    CHECK_STATUS(dpl_addrlist_set_from_str(ctx->addrlist, hosts), DPL_SUCCESS,
                 "the hosts are set to the same text");
    dpl_conn_release(conn);
    for (int i = 0; i < 10; i++)
        good += answered(ctx, i);
    CHECK_INT(good, 10, "requests are answered");
    CHECK(leave_idle(ctx, IDLE), "several at a time too");
    CHECK_INT(server_accepted(server), IDLE, "all over the connections that there were");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void new_name_is_what_requests_are_told(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    char hosts[64];
    dpl_req_t *req = request_new(ctx);
    dpl_conn_t *conn = NULL;

    CHECK(answered(ctx, 1), "a host by its address answers");
    snprintf(hosts, sizeof hosts, "localhost:%s", server_port(server));
    CHECK_STATUS(dpl_addrlist_set_from_str(ctx->addrlist, hosts), DPL_SUCCESS,
                 "it is set by its name");
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "it is connected to");
    CHECK_STR(req->host, "localhost", "the request has the new name");
    CHECK(answered_on(conn, 2), "the host answers");
    dpl_conn_release(conn);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void negative_expiry_time_is_over_at_once(void) {
    struct server *dead = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = context_over_server(dead, "blacklist_expiretime = -5");

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "a dead host is a failure");
    server_restart(dead);
    CHECK(answered(ctx, 2), "back, it answers at once");
    ctx->blacklist_expiretime = -1;
    dpl_blacklist_host(ctx, "127.0.0.1", server_port(dead));
    CHECK_INT(blacklisted_until(ctx, dead), -1, "-1 is for good");
    dpl_ctx_free(ctx);
    server_stop(dead);
}

static void unknown_name_makes_no_context(void) {
    CHECK(context_over(no_such_name, "") == NULL, "a profile with an unknown host is refused");
}

/* ---- without the host list --------------------------------------------------------- */

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
    RUN(address_may_be_written_in_other_ways);
    RUN(zone_is_kept_from_the_server);
    RUN(line_end_of_windows_does_no_harm);
    RUN(slash_behind_a_host_does_no_harm);
    RUN(same_hosts_keep_their_connections);
    RUN(new_name_is_what_requests_are_told);
    RUN(negative_expiry_time_is_over_at_once);
    RUN(unknown_name_makes_no_context);
    RUN(host_is_opened_by_name_and_address);
    RUN(opened_host_is_pooled);
    RUN(opened_host_may_be_ipv6);
    RUN(host_that_cannot_be_opened_is_null);
    return test_end();
}
