#include <droplet_conn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = dplx_connect(ctx, 2000); /* within two seconds, over all hosts */

    if (!conn) {
        fprintf(stderr, "%s\n", dplx_last_error());
        return 1;
    }
    printf("connected to %s\n", dplx_conn_address(conn));
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return 0;
}
