#include <droplet_conn.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *file = dpl_conn_open_file(ctx, dup(STDOUT_FILENO));
    dpl_conn_t *conn;

    if (dplx_conn_write(file, "to a file\n", 10, -1) != DPL_SUCCESS)
        return 1;
    dpl_conn_release(file);
    /* One host, in the profile or not. Nothing listens on this port. */
    conn = dpl_conn_open_host(ctx, AF_UNSPEC, "127.0.0.1", "1");
    if (!conn)
        printf("%s\n", dplx_last_error()); /* connect to 127.0.0.1:1: Connection refused */
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return 0;
}
