/* A program for Droplet: a context, a request, a connection, a reply. Its argument is HOST:PORT. */
#include <droplet.h>
#include <stdio.h>

static dpl_status_t body(void *arg, char *buf, u_int len) {
    (void)arg;
    return fwrite(buf, 1, len, stdout) == len ? DPL_SUCCESS : DPL_FAILURE;
}

int main(int argc, char **argv) {
    dpl_dict_t *profile = dpl_dict_new(13);
    dpl_ctx_t *ctx;
    dpl_req_t *req;
    dpl_conn_t *conn;
    static const char request[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    struct iovec iov = {(void *)request, sizeof request - 1};
    int status;

    if (argc != 2 || dpl_init() != DPL_SUCCESS || dpl_dict_add(profile, "host", argv[1], 0) != DPL_SUCCESS ||
        dpl_dict_add(profile, "use_https", "false", 0) != DPL_SUCCESS)
        return 2;
    ctx = dpl_ctx_new_from_dict(profile);
    req = ctx ? dpl_req_new(ctx) : NULL;
    if (!req || dpl_try_connect(ctx, req, &conn) != DPL_SUCCESS ||
        dpl_conn_writev_all(conn, &iov, 1, 5) != DPL_SUCCESS ||
        dpl_read_http_reply_buffered(conn, 1, &status, NULL, body, NULL) != DPL_SUCCESS || status != 200)
        return 1;
    dpl_conn_release(conn);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    dpl_dict_free(profile);
    dpl_free();
    return 0;
}
