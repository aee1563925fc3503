#include <droplet_conn.h>
#include <stdio.h>
#include <stdlib.h>

static dpl_status_t field(void *cb_arg, const char *name, const char *value) {
    (void)cb_arg;
    printf("%s: %s\n", name, value);
    return DPL_SUCCESS;
}

static dpl_status_t body(void *cb_arg, char *bytes, unsigned int n) {
    (void)cb_arg;
    fwrite(bytes, 1, n, stdout);
    return DPL_SUCCESS;
}

int main(int argc, char **argv) {
    char request[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    struct iovec part = {request, sizeof request - 1};
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = dplx_connect(ctx, 5000);
    unsigned int length;
    char *text;
    int http_status;

    /* As it comes, and then the next one into memory. */
    if (!conn || dpl_conn_writev_all(conn, &part, 1, 5) != DPL_SUCCESS ||
        dpl_read_http_reply_buffered(conn, 1, &http_status, field, body, NULL) != DPL_SUCCESS ||
        dpl_map_http_status(http_status) != DPL_SUCCESS ||
        dpl_conn_writev_all(conn, &part, 1, 5) != DPL_SUCCESS ||
        dpl_read_http_reply(conn, 1, &text, &length, NULL, NULL) != DPL_SUCCESS) {
        fprintf(stderr, "%s\n", dplx_last_error());
        return 1;
    }
    fwrite(text, 1, length, stdout);
    free(text);
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return 0;
}
