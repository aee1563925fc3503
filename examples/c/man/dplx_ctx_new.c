#include <droplet_conn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);

    if (!ctx) {
        fprintf(stderr, "%s\n", dplx_last_error());
        return 1;
    }
    dplx_ctx_set_wait(ctx, 500); /* at n_conn_max, wait half a second for a connection */
    dplx_ctx_free(ctx);
    if (!dplx_ctx_new("no_such_variable = 1"))
        puts(dplx_last_error()); /* profile:1: no such variable ... */
    return 0;
}
