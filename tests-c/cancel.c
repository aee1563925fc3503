/* Threads that are cancelled (pthread_cancel(3)) while they are in the library: the call comes to its
 * end, and the thread ends at the program's next cancellation point. */
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"

static dpl_ctx_t *ctx;

/* Long enough for a handshake, also on a slow machine. */
static dpl_ctx_t *context_for(struct server *server) {
    char more[80];

    snprintf(more, sizeof more, "connection_timeout = %d\nblacklist_expiretime = 0", (int)patience(1));
    return context_over_server(server, more);
}

static void *ask_until_cancelled(void *unused) {
    for (;;) {
        answered(ctx, 1);
        pthread_testcancel();
    }
    return unused;
}

static void *write_until_cancelled(void *unused) {
    static char block[1 << 20];
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_conn_t *conn = NULL;

    dpl_req_rm_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    if (dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS) {
        struct iovec iov[64];

        for (int i = 0; i < 64; i++)
            iov[i] = (struct iovec){.iov_base = block, .iov_len = sizeof block};
        dpl_conn_writev_all(conn, iov, 64, 1);
        dpl_conn_terminate(conn);
    }
    dpl_req_free(req);
    for (;;)
        pthread_testcancel();
    return unused;
}

/* True if the thread ended as one that was cancelled. */
static bool cancelled_in(void *(*work)(void *)) {
    pthread_t thread;
    void *result = NULL;

    pthread_create(&thread, NULL, work, NULL);
    sleep_ms(300);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    return result == PTHREAD_CANCELED;
}

static void cancelled_while_connecting(void) {
    struct server *server = server_answering(1);

    ctx = context_for(server);
    server_go_deaf(server);
    CHECK(cancelled_in(ask_until_cancelled), "a thread is cancelled while it connects");
    server_restart(server);
    CHECK(answered(ctx, 2), "another is served afterwards");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void cancelled_while_writing(void) {
    struct server *server = server_start((struct server_options){.behaviour = SILENT});

    ctx = context_for(server);
    CHECK(cancelled_in(write_until_cancelled), "a thread is cancelled while it writes");
    CHECK_INT(ctx->n_conn_fds, 0, "and its connection is closed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Calls of a thread that was cancelled before them: it ends at the first cancellation point that it meets,
 * and no call may have one. */
static dpl_status_t writes[2];
static bool all_returned;

static void *call_while_cancelled(void *file) {
    dpl_req_t *req = request_new(ctx);
    dpl_conn_t *conn;

    pthread_cancel(pthread_self());
    conn = checkout(ctx); /* the idle one */
    writes[0] = write_string(conn, "GET /1 HTTP/1.1\r\n\r\n", 1);
    dpl_conn_terminate(conn);
    dpl_try_connect(ctx, req, NULL);
    dpl_req_free(req);
    conn = checkout(ctx);
    dpl_conn_release(conn);
    dpl_conn_release(conn); /* which is logged */
    conn = dpl_conn_open_file(ctx, *(int *)file);
    writes[1] = write_string(conn, "text", 1);
    dpl_conn_release(conn);
    ctx->n_conn_max_hits = 0; /* what is idle is closed now */
    conn = checkout(ctx);
    conn->cc = 10; /* bytes that nobody read, so that it is not pooled */
    dpl_conn_release(conn);
    all_returned = true;
    pthread_testcancel();
    return NULL;
}

static void cancelled_before(void) {
    struct server *server = server_answering(1);
    int pipes[2];
    pthread_t thread;
    void *result = NULL;

    REQUIRE(pipe(pipes) == 0, "a pipe");
    ctx = context_over_server(server, "");
    CHECK(leave_idle(ctx, 3), "three connections are idle");
    logs_collect();
    pthread_create(&thread, NULL, call_while_cancelled, &pipes[1]);
    pthread_join(thread, &result);
    CHECK(result == PTHREAD_CANCELED && all_returned, "the thread ends after its calls");
    CHECK_INT(logs_with("is not in use"), 1, "one of them was refused");
    CHECK(writes[0] == DPL_SUCCESS && writes[1] == DPL_SUCCESS, "others have written");
    CHECK_INT(ctx->n_conn_fds, 0, "and each connection was closed");
    close(pipes[0]);
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("cancel");
    RUN(cancelled_while_connecting);
    RUN(cancelled_while_writing);
    RUN(cancelled_before);
    return test_end();
}
