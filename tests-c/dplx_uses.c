/* dplx_cancel() concerns one use of one connection, and never another one. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"

static dpl_ctx_t *ctx;

static void next_use_is_another_one(void) {
    struct server *alive = server_answering(1);
    dpl_conn_t *conn, *again;
    uint64_t use;

    ctx = context_over_server(alive, "");
    conn = dplx_connect(ctx, LIMIT_MS);
    use = dplx_conn_use(conn);
    CHECK(answered_on(conn, 1), "a request is answered");
    dpl_conn_release(conn);
    again = dplx_connect(ctx, LIMIT_MS);
    CHECK(again == conn, "the connection is used again");
    CHECK_STATUS(dplx_cancel(use), DPL_ENOENT, "the use before is over");
    CHECK(dplx_conn_use(again) != use, "this one has another number");
    CHECK(answered_on(again, 2), "and is not affected");
    dpl_conn_release(again);
    CHECK_STATUS(dplx_cancel(0), DPL_ENOENT, "0 is no use");
    CHECK_STATUS(dplx_cancel(UINT64_MAX), DPL_ENOENT, "nor is a number of the future");
    CHECK_INT((long)dplx_conn_use(NULL), 0, "no connection has none");
    dpl_ctx_free(ctx);
    server_stop(alive);
}

enum { OWNERS = 4, BYSTANDERS = 2 };

static struct owner {
    pthread_t thread, canceller;
    _Atomic uint64_t use;
    _Atomic uint64_t cancelled; /* the last use that was cancelled with success */
    atomic_long uses, failed;
    long wrong;
} owners[OWNERS];

static atomic_bool finished;
static atomic_long bystanders_failed, bystanders_served;

static void *use_and_give_back(void *arg) {
    struct owner *self = arg;

    while (!finished) {
        uint64_t use = dplx_use_new();
        dpl_conn_t *conn;
        bool good;

        self->use = use;
        conn = dplx_connect_cancellable(ctx, NULL, use, LIMIT_MS);
        good = conn && answered_on(conn, self->uses);
        self->uses++;
        if (conn)
            dpl_conn_release(conn); /* while it may be cancelled */
        sleep_ms(0);
        self->failed += !good;
        self->wrong += !good && self->cancelled != use && !EVENTUALLY(self->cancelled == use);
    }
    return NULL;
}

static void *cancel_all_the_time(void *arg) {
    struct owner *self = arg;
    unsigned seed = (unsigned)(self - owners) + 1;

    while (!finished) {
        uint64_t use = self->use;

        for (int i = rand_r(&seed) % 2000; i > 0; i--)
            atomic_signal_fence(memory_order_seq_cst);
        if (dplx_cancel(use) == DPL_SUCCESS)
            self->cancelled = use;
        if (rand_r(&seed) % 4 == 0)
            sleep_ms(1);
    }
    return NULL;
}

static void *stand_by(void *unused) {
    while (!finished) {
        dpl_conn_t *conn = dplx_connect(ctx, LIMIT_MS);

        if (conn && answered_on(conn, bystanders_served))
            bystanders_served++;
        else
            bystanders_failed++;
        if (conn)
            dpl_conn_release(conn);
    }
    return unused;
}

/* Whether there was enough of everything, however busy the machine is. */
static bool much_was_cancelled(void) {
    long uses = 0, failed = 0;

    for (int i = 0; i < OWNERS; i++) {
        uses += owners[i].uses;
        failed += owners[i].failed;
    }
    return uses > 100 && failed > 10 && bystanders_served > 100;
}

/* All share the idle connections, whose pointers and descriptors are those that others have cancelled. */
static void worst_moment_hits_nobody_else(void) {
    struct server *alive = server_answering(1);
    pthread_t bystanders[BYSTANDERS];
    long wrong = 0;

    ctx = context_over_server(alive, "");
    for (int i = 0; i < OWNERS; i++) {
        pthread_create(&owners[i].thread, NULL, use_and_give_back, &owners[i]);
        pthread_create(&owners[i].canceller, NULL, cancel_all_the_time, &owners[i]);
    }
    for (int i = 0; i < BYSTANDERS; i++)
        pthread_create(&bystanders[i], NULL, stand_by, NULL);
    sleep_ms((int)(patience(2) * 1000));
    CHECK(EVENTUALLY(much_was_cancelled()), "many uses are cancelled");
    finished = true;
    for (int i = 0; i < OWNERS; i++) {
        pthread_join(owners[i].thread, NULL);
        pthread_join(owners[i].canceller, NULL);
        wrong += owners[i].wrong;
    }
    for (int i = 0; i < BYSTANDERS; i++)
        pthread_join(bystanders[i], NULL);
    CHECK_INT(wrong, 0, "no other use fails");
    CHECK_INT(bystanders_failed, 0, "least of all one that cannot be cancelled");
    CHECK_INT(hosts_available(ctx), 1, "the host is not blamed");
    dpl_ctx_free(ctx);
    server_stop(alive);
}

static void child_does_not_cancel_for_its_parent(void) {
    struct server *alive = server_answering(1);
    dpl_conn_t *conn;
    uint64_t use;
    pid_t child;

    ctx = context_over_server(alive, "");
    conn = dplx_connect(ctx, LIMIT_MS);
    use = dplx_conn_use(conn);
    child = fork();
    if (child == 0) {
        bool good = dplx_cancel(use) == DPL_ENOENT;

        dpl_conn_release(conn);
        end_child(good && answered(ctx, 1));
    }
    CHECK(ended_well(child), "in a child the use is over");
    CHECK(answered_on(conn, 2), "its parent goes on");
    CHECK_STATUS(dplx_cancel(use), DPL_SUCCESS, "and may cancel");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(alive);
}

static void a_use_has_one_connection(void) {
    struct server *alive = server_answering(1);
    dpl_conn_t *conn;
    uint64_t use;

    ctx = context_over_server(alive, "");
    conn = dplx_connect(ctx, LIMIT_MS);
    use = dplx_conn_use(conn);
    CHECK(!dplx_connect_cancellable(ctx, NULL, use, LIMIT_MS), "a use that has a connection gets no other");
    CHECK(answered_on(conn, 1), "which goes on");
    CHECK_STATUS(dplx_cancel(use), DPL_SUCCESS, "and can be cancelled as before");
    CHECK(!answered_on(conn, 2), "by that number");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(alive);
}

int main(void) {
    test_begin("dplx_uses");
    RUN(next_use_is_another_one);
    RUN(worst_moment_hits_nobody_else);
    RUN(child_does_not_cancel_for_its_parent);
    RUN(a_use_has_one_connection);
    return test_end();
}
