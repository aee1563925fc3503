#include <droplet_conn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn = dplx_connect(ctx, 5000);
    dplx_conn_info_t info = {.size = sizeof info};

    if (!conn || dplx_conn_info(conn, &info) != DPL_SUCCESS)
        return 1;
    printf("%s port %s at %s, reused %u times, %s\n", dplx_conn_host(conn), dplx_conn_port(conn), info.peer,
           info.reused, info.tls_version ? info.tls_version : "not encrypted");
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return 0;
}
