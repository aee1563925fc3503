#include <droplet_conn.h>
#include <stdio.h>

/* Droplet makes the pool with the context. This closes the idle connections of one, and begins anew. */
int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);

    if (!ctx)
        return 1;
    dpl_conn_pool_destroy(ctx);
    if (dpl_conn_pool_init(ctx) != DPL_SUCCESS) {
        fprintf(stderr, "%s\n", dplx_last_error());
        return 1;
    }
    dplx_ctx_free(ctx);
    return 0;
}
