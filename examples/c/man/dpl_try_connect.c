#include <droplet_conn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_req_t *req = dplx_req_new(ctx, NULL);
    dpl_conn_t *conn;
    dpl_status_t status = dpl_try_connect(ctx, req, &conn);

    if (status != DPL_SUCCESS) {
        fprintf(stderr, "%s: %s\n", dplx_status_text(status), dplx_last_error());
        return 1;
    }
    printf("connected to %s\n", dplx_conn_address(conn));
    dpl_conn_release(conn);
    dplx_req_free(req);
    dplx_ctx_free(ctx);
    return 0;
}
