#include <droplet_conn.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static uint64_t use;

static void *cancel_soon(void *arg) {
    sleep(1);
    dplx_cancel(use);
    return arg;
}

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = dplx_ctx_new(argc > 1 ? argv[1] : NULL);
    dpl_conn_t *conn;
    pthread_t thread;
    char byte;

    use = dplx_use_new();
    conn = dplx_connect_cancellable(ctx, NULL, use, 5000);
    if (!conn || pthread_create(&thread, NULL, cancel_soon, NULL))
        return 1;
    /* Without a request there is no reply: this waits until the other thread ends it. */
    if (dplx_conn_read(conn, &byte, 1, -1) < 0)
        printf("%s\n", dplx_last_error());
    pthread_join(thread, NULL);
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    return 0;
}
