#include <droplet_conn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *request = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = dplx_connect(ctx, 5000);
    const char *length;
    char body[4096];
    ssize_t n;

    if (!conn || dplx_conn_write(conn, request, strlen(request), 5000) != DPL_SUCCESS)
        return 1;
    if (dplx_reply_status(conn, 5000) != 200)
        return 1;
    length = dplx_reply_field(conn, "content-length", 0);
    printf("length %s\n", length ? length : "unknown");
    while ((n = dplx_reply_read(conn, body, sizeof body, 5000)) > 0)
        fwrite(body, 1, (size_t)n, stdout);
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return n < 0;
}
