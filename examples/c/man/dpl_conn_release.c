#include <droplet_conn.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *request = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = dplx_connect(ctx, 5000);
    char body[4096];

    if (!conn)
        return 1;
    if (dplx_conn_write(conn, request, strlen(request), 5000) != DPL_SUCCESS ||
        dplx_reply_read(conn, body, sizeof body, 5000) < 0) {
        dpl_conn_terminate(conn); /* what it still brings is not wanted */
        return 1;
    }
    while (dplx_reply_read(conn, body, sizeof body, 5000) > 0)
        ;
    dpl_conn_release(conn); /* it stays open for the next request */
    dplx_ctx_free(ctx);
    return 0;
}
