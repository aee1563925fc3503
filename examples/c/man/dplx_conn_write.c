#include <droplet_conn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    char *head = "GET / HTTP/1.0\r\nHost: example\r\n";
    struct iovec parts[] = {{head, strlen(head)}, {"\r\n", 2}};
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = dplx_connect(ctx, 5000);
    char bytes[4096];
    ssize_t n;

    if (!conn || dpl_conn_writev_all(conn, parts, 2, 5) != DPL_SUCCESS)
        return 1;
    /* With HTTP/1.0 the reply ends with the connection. */
    while ((n = dplx_conn_read(conn, bytes, sizeof bytes, 5000)) > 0)
        fwrite(bytes, 1, (size_t)n, stdout);
    dpl_conn_terminate(conn);
    dplx_ctx_free(ctx);
    return n < 0;
}
