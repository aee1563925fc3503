/* Threads with small stacks, as programs with many of them have: what a request takes on a
 * connection that was open before fits. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"

enum { KIB = 1024, PIECES = 40, PIECE = 1000 };

struct work {
    dpl_ctx_t *ctx;
    dpl_req_t *req;
    dpl_status_t status;
    bool terminate;
    bool good;
};

static char bytes[PIECES][PIECE];

/* No more of the stack than the library needs: what the harness does is done elsewhere. */
static void *use_idle_connection(void *arg) {
    struct work *work = arg;
    static struct iovec iov[PIECES];
    dpl_conn_t *conn = NULL;

    for (int i = 0; i < PIECES; i++)
        iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = PIECE};
    work->status = dpl_try_connect(work->ctx, work->req, &conn);
    if (work->status != DPL_SUCCESS)
        return NULL;
    work->good = conn->n_hits == 1;
    if (work->status == DPL_SUCCESS)
        work->status = dpl_conn_writev_all(conn, iov, PIECES, 10);
    iov[0] = (struct iovec){.iov_base = bytes[0], .iov_len = PIECE};
    if (work->status == DPL_SUCCESS)
        work->status = dpl_conn_writev_all(conn, iov, 1, 10);
    if (work->terminate)
        dpl_conn_terminate(conn);
    else
        dpl_conn_release(conn);
    return NULL;
}

static void on_stack_of(size_t size, bool terminate) {
    struct server *server = server_answering(1);
    struct work work = {.ctx = context_over_server(server, ""), .terminate = terminate};
    pthread_attr_t attributes;
    pthread_t thread;

    REQUIRE(leave_idle(work.ctx, 1), "a connection is idle");
    server_behave(server, DISCARD);
    work.req = request_new(work.ctx);
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstacksize(&attributes, size) == 0, "a stack may be so small");
    REQUIRE(pthread_create(&thread, &attributes, use_idle_connection, &work) == 0, "and is");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    CHECK_STATUS(work.status, DPL_SUCCESS, "%zu KiB: a checkout and two writes succeed",
                 size / KIB);
    CHECK(work.good, "on the idle connection, which is %s",
          terminate ? "terminated" : "given back");
    dpl_req_free(work.req);
    dpl_ctx_free(work.ctx);
    server_stop(server);
}

static void stack_of_24_kib_suffices(void) {
    on_stack_of(24 * KIB, false);
    on_stack_of(24 * KIB, true);
}

/* PTHREAD_STACK_MIN: what is left of it beside the thread's own data. */
static void smallest_stack_suffices(void) {
    on_stack_of(16 * KIB, false);
    on_stack_of(16 * KIB, true);
}

int main(void) {
    test_begin("stacks");
    RUN(stack_of_24_kib_suffices);
    RUN(smallest_stack_suffices);
    return test_end();
}
