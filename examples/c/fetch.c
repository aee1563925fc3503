#include <droplet_conn.h>
#include <stdio.h>
#include <string.h>

static int failed(void) {
    fprintf(stderr, "%s\n", dplx_last_error());
    return 1;
}

int main(int argc, char **argv) {
    /* The text of a profile, such as "host = a.example, b.example". */
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = ctx ? dplx_connect(ctx, 5000) : NULL;
    const char *request = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    char body[4096];
    ssize_t n;

    if (!conn || dplx_conn_write(conn, request, strlen(request), 5000) != DPL_SUCCESS)
        return failed();
    while ((n = dplx_reply_read(conn, body, sizeof body, 5000)) > 0)
        fwrite(body, 1, (size_t)n, stdout);
    if (n < 0)
        return failed();
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return 0;
}
