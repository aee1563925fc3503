#include "support/dplx.h"

#include "support/check.h"

dpl_conn_t *connect_by(dpl_ctx_t *ctx, const char *bucket) {
    dpl_req_t *req = dplx_req_new(ctx, bucket);
    dpl_conn_t *conn = NULL;

    REQUIRE(req, "a request is made");
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "a connection is made");
    dplx_req_free(req);
    return conn;
}

void ask_by(dpl_conn_t *conn, long number) {
    char request[64];
    int len = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nX-Number: %ld\r\n\r\n", number);

    REQUIRE(dplx_conn_write(conn, request, (size_t)len, LIMIT_MS) == DPL_SUCCESS,
            "request %ld is written", number);
}

ssize_t read_rest(dpl_conn_t *conn, char *body, size_t room, size_t piece) {
    size_t len = 0;
    ssize_t n;

    while ((n = dplx_reply_read(conn, body + len, piece, LIMIT_MS)) > 0 && len + (size_t)n + piece < room)
        len += (size_t)n;
    body[len] = '\0';
    return n;
}
