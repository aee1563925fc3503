#include <droplet_conn.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_req_t *req = dplx_req_new(ctx, NULL); /* a bucket here would be part of the name */
    dpl_status_t status = dpl_try_connect(ctx, req, NULL);

    dplx_req_free(req);
    dplx_ctx_free(ctx);
    return status != DPL_SUCCESS;
}
