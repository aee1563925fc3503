/* Checking connections out and giving them back, while all hosts are well. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

/* Tells sockets apart, which pointers and descriptors do not once they are reused. */
static int local_port(dpl_conn_t *conn) {
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;

    getsockname(conn->fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}

static void hosts_take_turns(void) {
    struct server *servers[3];
    dpl_ctx_t *ctx;
    int first_turn;

    for (int i = 0; i < 3; i++)
        servers[i] = server_answering(i);
    ctx = context_over_servers(servers, 3, "");
    REQUIRE(ctx, "a context is made");
    first_turn = ctx->cur_host;
    for (int i = 0; i < 300; i++)
        REQUIRE(answered(ctx, i), "request %d is answered", i);
    for (int i = 0; i < 3; i++)
        CHECK_INT(server_requests(servers[i]), 100, "host %d has a third of 300 requests", i + 1);
    CHECK_INT(ctx->cur_host - first_turn, 300, "cur_host counted the calls");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

static void last_released_is_first_reused(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conns[3];
    int ports[3];

    for (int i = 0; i < 3; i++) {
        conns[i] = checkout(ctx);
        REQUIRE(conns[i], "connection %d is made", i);
        ports[i] = local_port(conns[i]);
    }
    dpl_conn_release(conns[1]);
    dpl_conn_release(conns[0]);
    dpl_conn_release(conns[2]);
    CHECK_INT(local_port(conns[0] = checkout(ctx)), ports[2], "the last released comes first");
    CHECK_INT(local_port(conns[1] = checkout(ctx)), ports[0], "then the one before");
    CHECK_INT(local_port(conns[2] = checkout(ctx)), ports[1], "then the first");
    CHECK(EVENTUALLY(server_accepted(server) == 3), "three connections served six checkouts");
    for (int i = 0; i < 3; i++)
        dpl_conn_release(conns[i]);
    dpl_ctx_free(ctx);
    CHECK(EVENTUALLY(server_open(server) == 0), "freeing the context closes idle connections");
    server_stop(server);
}

static void hits_are_counted_and_limited(void) {
    static const unsigned expected[] = {0, 1, 2, 3, 0, 1, 2, 3};
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    ctx->n_conn_max_hits = 3; /* set by the program, after the context was made */
    for (int i = 0; i < 8; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(conn && answered_on(conn, i), "request %d is answered", i);
        CHECK_INT(conn->n_hits, expected[i], "n_hits at checkout %d", i + 1);
        dpl_conn_release(conn);
    }
    CHECK(EVENTUALLY(server_accepted(server) == 2), "a connection is closed after three reuses");
    ctx->n_conn_max_hits = 0;
    CHECK(answered(ctx, 8) && answered(ctx, 9), "requests are answered without reuse");
    CHECK(EVENTUALLY(server_accepted(server) == 4), "a limit of 0 reuses nothing");
    ctx->n_conn_max_hits = -1;
    for (int i = 0; i < 8; i++)
        CHECK(answered(ctx, i), "a request is answered");
    CHECK_INT(server_accepted(server), 4, "-1 is no limit");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void idle_time_is_limited(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK(answered(ctx, 1) && answered(ctx, 2), "requests are answered");
    CHECK_INT(server_accepted(server), 1, "within conn_idle_time a connection is reused");
    ctx->conn_idle_time = 1;
    sleep_ms(2100); /* two changes of a wall clock's second, whichever clock is used */
    CHECK(answered(ctx, 3), "a request after conn_idle_time is answered");
    CHECK_INT(server_accepted(server), 2, "by a new connection");
    CHECK(EVENTUALLY(server_open(server) == 1), "the old one is closed");
    ctx->conn_idle_time = 0;
    CHECK(answered(ctx, 4) && answered(ctx, 5), "requests are answered with conn_idle_time 0");
    CHECK_INT(server_accepted(server), 4, "and nothing is reused");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void error_leaves_connp_alone(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_req_t *req = request_new(ctx);
    dpl_conn_t mark;
    dpl_conn_t *conn = &mark;

    CHECK_STATUS(dpl_try_connect(ctx, req, &conn), DPL_FAILURE, "no host is left");
    CHECK(conn == &mark, "*connp is unchanged");
    CHECK_INT(ctx->n_conn_fds, 0, "no connection is counted");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void connp_may_be_null(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_req_t *req = request_new(ctx);

    CHECK_STATUS(dpl_try_connect(ctx, req, NULL), DPL_SUCCESS, "a new connection is made");
    CHECK_INT(ctx->n_conn_fds, 0, "and closed");
    CHECK(answered(ctx, 1), "a request leaves an idle connection");
    CHECK_STATUS(dpl_try_connect(ctx, req, NULL), DPL_SUCCESS, "an idle connection is found");
    CHECK_INT(ctx->n_conn_fds, 0, "and closed");
    CHECK(EVENTUALLY(server_open(server) == 0), "the server sees both closed");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void request_learns_its_host(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_req_t *req = request_new(ctx);
    dpl_conn_t *conn = NULL;

    for (int i = 1; i <= 2; i++) { /* the second call replaces what the first one set */
        REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "call %d connects", i);
        CHECK_STR(req->host, "127.0.0.1", "call %d sets the host as the profile has it", i);
        CHECK(req->port && strcmp(req->port, server_port(server)) == 0, "and the port");
        CHECK(req->host != conn->host && req->port != conn->port,
              "in strings of the request's own");
        dpl_conn_release(conn);
    }
    dpl_req_free(req); /* with free(): they are malloc'ed */
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void request_without_bucket_needs_no_virtual_host(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_req_t *req = dpl_req_new(ctx); /* as it comes, with virtual hosting */
    dpl_conn_t *conn = NULL;

    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "it connects");
    CHECK_STR(req->host, "127.0.0.1", "to the host itself");
    CHECK(answered_on(conn, 1), "which answers");
    dpl_conn_release(conn);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void open_connections_are_counted(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    int descriptors = open_descriptors();
    dpl_conn_t *a, *b;

    CHECK_INT(ctx->n_conn_fds, 0, "none at first");
    a = checkout(ctx);
    CHECK_INT(ctx->n_conn_fds, 1, "one in use");
    b = checkout(ctx);
    CHECK_INT(ctx->n_conn_fds, 2, "two in use");
    REQUIRE(answered_on(a, 1) && answered_on(b, 2), "both serve");
    dpl_conn_release(a);
    CHECK_INT(ctx->n_conn_fds, 2, "one in use, one idle");
    a = checkout(ctx);
    CHECK_INT(ctx->n_conn_fds, 2, "the idle one in use again");
    dpl_conn_terminate(a);
    CHECK_INT(ctx->n_conn_fds, 1, "one terminated");
    dpl_conn_terminate(b);
    CHECK_INT(ctx->n_conn_fds, 0, "both terminated");
    CHECK(EVENTUALLY(open_descriptors() == descriptors), "no descriptor is left open");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void socket_has_manners(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);
    int no_delay = 0;
    socklen_t len = sizeof no_delay;

    REQUIRE(conn, "it connects");
    CHECK((fcntl(conn->fd, F_GETFL) & O_NONBLOCK) == 0, "it is blocking");
    CHECK(fcntl(conn->fd, F_GETFD) & FD_CLOEXEC, "it is closed by exec");
    getsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len);
    CHECK(no_delay, "it sends without delay");
    dpl_conn_release(conn);
    conn = checkout(ctx);
    CHECK((fcntl(conn->fd, F_GETFL) & O_NONBLOCK) == 0, "it is blocking when reused");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void fields_are_filled_in(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "read_buf_size = 4096");
    int port = atoi(server_port(server));
    time_t before = time(NULL);
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn, "it connects");
    CHECK_INT(conn->type, DPL_CONN_TYPE_HTTP, "type");
    CHECK(conn->ctx == ctx, "ctx");
    CHECK_STR(conn->host, "127.0.0.1", "host");
    CHECK(conn->port && strcmp(conn->port, server_port(server)) == 0, "port");
    CHECK(conn->fd >= 0, "fd");
    CHECK(conn->hash_info.addr.v4.s_addr == htonl(INADDR_LOOPBACK), "hash_info's address");
    /* The byte order (host or network) is not documented. */
    CHECK(conn->hash_info.port == port || conn->hash_info.port == htons(port), "hash_info's port");
    CHECK(conn->start_time >= before && conn->start_time <= time(NULL), "start_time");
    CHECK_INT(conn->n_hits, 0, "n_hits");
    CHECK_INT((long)conn->read_buf_size, 4096, "read_buf_size");
    REQUIRE(conn->read_buf, "read_buf");
    memset(conn->read_buf, 'x', conn->read_buf_size);
    CHECK(conn->cc <= conn->read_buf_pos, "nothing is in it");
    CHECK((conn->ssl != NULL) == tls_wanted(), "ssl");
    CHECK(!conn->ssl || conn->bio, "bio");
    dpl_conn_release(conn);
    conn = checkout(ctx);
    CHECK(conn->close_time >= before && conn->close_time <= time(NULL), "close_time");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void read_buffer_follows_the_context(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn;

    ctx->read_buf_size = 64; /* a reply takes several reads */
    conn = checkout(ctx);
    REQUIRE(conn, "it connects");
    CHECK_INT((long)conn->read_buf_size, 64, "the buffer has the size set since");
    CHECK(answered_on(conn, 1) && answered_on(conn, 2), "and serves the reply reader");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void one_connection_serves_many_requests(void) {
    struct server *server = server_answering(7);
    dpl_ctx_t *ctx = context_over_server(server, "");

    for (int i = 1; i <= 5; i++) {
        struct answer answer = ask(ctx, 1000 + i);

        CHECK_STATUS(answer.status, DPL_SUCCESS, "request %d is answered", i);
        CHECK_INT(answer.server, 7, "by the server");
        CHECK_INT(answer.number, 1000 + i, "with the request's number");
    }
    CHECK_INT(server_accepted(server), 1, "all on one connection");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void connection_outlives_its_context(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *a = checkout(ctx);
    dpl_conn_t *b = checkout(ctx);

    REQUIRE(a && b, "two connections are made");
    dpl_ctx_free(ctx);
    dpl_conn_release(a);
    dpl_conn_terminate(b);
    CHECK(EVENTUALLY(server_open(server) == 0), "given back afterwards, they are closed");
    server_stop(server);
}

static void unused_variable_is_there(void) {
    CHECK(dpl_default_conn_ctx == NULL, "dpl_default_conn_ctx is NULL");
}

int main(void) {
    test_begin("checkout");
    RUN(hosts_take_turns);
    RUN(last_released_is_first_reused);
    RUN(hits_are_counted_and_limited);
    RUN(idle_time_is_limited);
    RUN(error_leaves_connp_alone);
    RUN(connp_may_be_null);
    RUN(request_learns_its_host);
    RUN(request_without_bucket_needs_no_virtual_host);
    RUN(open_connections_are_counted);
    RUN(socket_has_manners);
    RUN(fields_are_filled_in);
    RUN(read_buffer_follows_the_context);
    RUN(one_connection_serves_many_requests);
    RUN(connection_outlives_its_context);
    RUN(unused_variable_is_there);
    return test_end();
}
