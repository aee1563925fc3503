/* What no host is to blame for. */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

/* ---- answers that come early ------------------------------------------------------------------
 */

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

int main(void) {
    test_begin("innocent");
    RUN(early_answer_excuses_a_failed_write);
    RUN(early_answer_excuses_a_slow_write);
    RUN(connection_that_has_served_may_be_closed);
    return test_end();
}
