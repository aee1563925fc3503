/* A context over one server with few connections, and threads that wait for one of them. To be included by one file of
 * a program. */
#ifndef SUPPORT_WAITERS_H
#define SUPPORT_WAITERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"

enum { FOR_EVER = -1, LONG = 30000 }; /* milliseconds */

static struct server *server;
static dpl_ctx_t *ctx;

static inline void begin(int limit, int wait_ms) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
    ctx->n_conn_max = limit;
    CHECK_STATUS(dplx_ctx_set_wait(ctx, wait_ms), DPL_SUCCESS, "the time to wait is set");
}

static inline void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

static inline dplx_pool_stats_t stats(void) {
    dplx_pool_stats_t pool = {.size = sizeof pool};

    dplx_pool_stats(ctx, &pool);
    return pool;
}

/* A thread that checks out once. */
struct waiter {
    pthread_t thread;
    atomic_bool done;
    dpl_status_t status;
    double seconds;
    dpl_conn_t *conn;
};

static inline void *check_out(void *arg) {
    struct waiter *self = arg;
    double began = seconds_now();

    self->status = try_connect(ctx, &self->conn);
    self->seconds = seconds_now() - began;
    self->done = true;
    return NULL;
}

/* Returns when it waits behind `others`. */
static inline void start(struct waiter *waiter, int others) {
    *waiter = (struct waiter){.status = 1};
    pthread_create(&waiter->thread, NULL, check_out, waiter);
    REQUIRE(EVENTUALLY((int)stats().waiting == others + 1), "%d calls wait", others + 1);
}

static inline void join(struct waiter *waiter) {
    pthread_join(waiter->thread, NULL);
}

#endif
