#include <droplet_conn.h>
#include <inttypes.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dplx_pool_stats_t pool = {.size = sizeof pool};
    dplx_host_stats_t hosts[8] = {{.size = sizeof hosts[0]}};
    int n;

    dpl_conn_release(dplx_connect(ctx, 5000));
    if (dplx_pool_stats(ctx, &pool) != DPL_SUCCESS)
        return 1;
    printf("%" PRIu64 " idle, %" PRIu64 " opened\n", pool.idle, pool.created);
    n = dplx_host_stats(ctx, hosts, 8);
    for (int i = 0; i < n && i < 8; i++)
        printf("%s:%s is %s\n", hosts[i].host, hosts[i].port, dplx_host_state_text(hosts[i].state));
    dplx_ctx_free(ctx);
    return n < 0;
}
