/* Failures for which no host is blamed: connects that this machine forbids, writes whose answer came early, a
 * host that was asked for by name. And a connect that seems to succeed, but leads nowhere. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/namespace.h"

/* ---- what this machine forbids ----------------------------------------------------- */

static void check_forbidden(dpl_ctx_t *ctx, unsigned hosts, const char *text) {
    logs_collect();
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ESYS, "%s: no connect is permitted", text);
    CHECK_INT(logs_with(text), hosts, "%s: each host is tried, and the log says so", text);
    CHECK_INT(hosts_available(ctx), hosts, "%s: nobody is out", text);
}

static void forbidding_routes_blame_nobody(void) {
    struct server *server;
    dpl_ctx_t *ctx;
    char hosts[64];

    if (!own_network())
        return;
    REQUIRE(route_in_network("10.0.0.1", RTN_PROHIBIT), "a route prohibits");
    REQUIRE(route_in_network("10.0.0.2", RTN_BLACKHOLE), "a route leads nowhere");
    ctx = context_over("10.0.0.1:80", "");
    check_forbidden(ctx, 1, "Permission denied");
    dpl_ctx_free(ctx);
    ctx = context_over("10.0.0.2:80", "");
    check_forbidden(ctx, 1, "Invalid argument");
    dpl_ctx_free(ctx);

    server = server_answering(1);
    snprintf(hosts, sizeof hosts, "10.0.0.1:80;10.0.0.2:80;%s", server_name(server));
    ctx = context_over(hosts, "");
    for (int i = 0; i < 6; i++)
        CHECK(answered(ctx, i), "the host that no route forbids is asked");
    CHECK_INT(hosts_available(ctx), 3, "and nobody is out");
    server_kill(server);
    CHECK_STATUS(try_connect(ctx, NULL), DPL_FAILURE, "a host that refuses is a failure, beside them");
    CHECK_INT(hosts_available(ctx), 2, "for which it is out");
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ESYS, "those that are left are forbidden");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Each in turn, since a filter stays. */
static void forbid_to_connect(long call, int error, const char *text) {
    struct server *servers[] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");

    REQUIRE(ctx, "a context is made");
    if (forbid_call(call, error))
        check_forbidden(ctx, 2, text);
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void forbidden_connect_blames_nobody(void) {
    forbid_to_connect(SYS_connect, EPERM, "Operation not permitted");
}

static void network_that_is_down_blames_nobody(void) {
    forbid_to_connect(SYS_connect, ENETDOWN, "Network is down");
}

static void unknown_family_blames_nobody(void) {
    forbid_to_connect(SYS_socket, EAFNOSUPPORT, "Address family not supported by protocol");
}

static void unknown_protocol_blames_nobody(void) {
    forbid_to_connect(SYS_socket, EPROTONOSUPPORT, "Protocol not supported");
}

static void forbidden_socket_blames_nobody(void) {
    forbid_to_connect(SYS_socket, EACCES, "Permission denied");
}

static void forbidden_write_blames_nobody(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn, "a new connection is made");
    if (forbid_call(SYS_sendto, EPERM)) {
        CHECK_STATUS(write_string(conn, "GET /", 1), DPL_FAILURE, "nothing can be written");
        CHECK_INT(hosts_available(ctx), 1, "which is no fault of the host's");
    }
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- a connection to itself -------------------------------------------------------- */

/* With a single port to connect from: the port of a server that is gone. */
static void connection_to_itself_is_refused(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(61001)};
    dpl_ctx_t *ctx;
    int fd;

    if (!own_network())
        return;
    REQUIRE(set_of_network("ipv4/ip_local_port_range", "61001 61001"), "there is one local port");
    for (int i = 0; i < 2; i++) {
        ctx = context_over(i ? "0.0.0.0:61001" : "127.0.0.1:61001", "");
        REQUIRE(ctx, "a context is made");
        logs_collect();
        CHECK_STATUS(try_connect(ctx, NULL), DPL_FAILURE, "nobody is there");
        CHECK_INT(logs_with("61001: Connection refused"), 1, "who listens");
        CHECK_INT(hosts_available(ctx), 0, "the host is out");
        CHECK_INT(ctx->n_conn_fds, 0, "nothing is open");
        dpl_ctx_free(ctx);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0,
          "and the server that is to come finds its port free");
    close(fd);
}

/* ---- answers that come early ------------------------------------------------------- */

enum { MUCH = 20 * 1000 * 1000 };

static dpl_status_t write_much(dpl_conn_t *conn) {
    char *bytes = calloc(1, MUCH);
    char head[128];
    struct iovec iov[2] = {{.iov_base = head}, {.iov_base = bytes, .iov_len = MUCH}};
    dpl_status_t status;

    iov[0].iov_len = (size_t)snprintf(
        head, sizeof head, "PUT / HTTP/1.1\r\nX-Number: 7\r\nContent-Length: %d\r\n\r\n", MUCH);
    status = dpl_conn_writev_all(conn, iov, 2, 10);
    free(bytes);
    return status;
}

static void early_answer_excuses_a_failed_write(void) {
    struct server *server = server_start((struct server_options){.behaviour = REFUSE_BODY});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn && conn->n_hits == 0, "a new connection is made");
    CHECK_STATUS(write_much(conn), DPL_FAILURE, "the server resets before it has all");
    CHECK_INT(hosts_available(ctx), 1, "but it has answered, and is not out");
    CHECK_STATUS(read_answer(conn).status, DPL_FAILURE, "the answer can be read");
    CHECK(strncmp(conn->read_buf, "HTTP/1.1 413", 12) == 0, "it is a refusal");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* The server has answered, and neither reads on nor hangs up. */
static void early_answer_excuses_a_slow_write(void) {
    struct server *server =
        server_start((struct server_options){.id = 1, .receive_buffer = 4096});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);
    void *bytes = calloc(1, MUCH);
    struct iovec iov = {.iov_base = bytes, .iov_len = MUCH};

    REQUIRE(conn && send_get(conn, 1) == DPL_SUCCESS, "a request is sent");
    REQUIRE(EVENTUALLY(server_requests(server) == 1), "which the server has");
    server_behave(server, SILENT);
    CHECK_STATUS(dpl_conn_writev_all(conn, &iov, 1, 1), DPL_ETIMEOUT, "it reads no more");
    CHECK_INT(hosts_available(ctx), 1, "but it has answered, and is not out");
    dpl_conn_terminate(conn);
    free(bytes);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Between two requests on one connection a server may hang up, pooled or not. */
static void connection_that_has_served_may_be_closed(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);
    dpl_status_t status = DPL_SUCCESS;

    REQUIRE(conn && answered_on(conn, 1), "a new connection has served");
    server_reset_connections(server);
    for (int i = 0; i < 50 && status == DPL_SUCCESS; i++)
        status = write_string(conn, "GET / HTTP/1.1\r\n\r\n", 5);
    CHECK_STATUS(status, DPL_FAILURE, "it is reset before its next request");
    CHECK_INT(hosts_available(ctx), 1, "for which the host is not out");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- hosts that are asked for by name ---------------------------------------------- */

static void opened_host_is_not_blamed(void) {
    struct server *dead = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = context_over_server(dead, "connection_timeout = 1");

    logs_collect();
    CHECK(!dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(dead)), "it refuses");
    CHECK_INT(logs_with("Connection refused"), 1, "the log says so");
    CHECK_INT(hosts_available(ctx), 1, "but it is not out");
    server_go_deaf(dead);
    CHECK(!dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(dead)), "it is deaf");
    CHECK_INT(hosts_available(ctx), 1, "nor then");
    CHECK_STATUS(try_connect(ctx, NULL), DPL_FAILURE, "for a request");
    CHECK_INT(hosts_available(ctx), 0, "it is");
    dpl_ctx_free(ctx);
    server_stop(dead);
}

int main(void) {
    test_begin("innocent");
    RUN(forbidding_routes_blame_nobody);
    RUN(forbidden_connect_blames_nobody);
    RUN(network_that_is_down_blames_nobody);
    RUN(unknown_family_blames_nobody);
    RUN(unknown_protocol_blames_nobody);
    RUN(forbidden_socket_blames_nobody);
    RUN(forbidden_write_blames_nobody);
    RUN(connection_to_itself_is_refused);
    RUN(early_answer_excuses_a_failed_write);
    RUN(early_answer_excuses_a_slow_write);
    RUN(connection_that_has_served_may_be_closed);
    RUN(opened_host_is_not_blamed);
    return test_end();
}
