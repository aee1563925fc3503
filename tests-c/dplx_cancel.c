/* dplx_cancel(): another thread ends what is under way on a connection, or a checkout. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/ends.h"
#include "support/logs.h"

static struct server *server;
static dpl_ctx_t *ctx;

/* A server that answers nothing, and reads slowly. */
static void begin_slow(bool over_tls) {
    char profile[512];

    server = server_start((struct server_options){.behaviour = DRAIN,
                                                  .drain_bytes = 64,
                                                  .drain_pause_ms = 200,
                                                  .tls = over_tls ? TLS_ALWAYS : TLS_NEVER});
    snprintf(profile, sizeof profile, "use_https = %s\nssl_ca_list = \"%s\"\nhost = \"%s\"\npricing_dir = \"\"\n",
             over_tls ? "true" : "false", authority_file(), server_name(server));
    ctx = context_from_text(profile);
    REQUIRE(ctx, "a context is made");
}

static void end_slow(void) {
    server_behave(server, DISCARD); /* so that it comes to the end of what was sent */
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* A thread in a call. */
struct call {
    pthread_t thread;
    dpl_conn_t *conn;
    uint64_t use;
    atomic_int task; /* its number, once it runs */
    atomic_bool has_data; /* of a body */
    atomic_bool done;
    ssize_t result;
    char error[256];
};

/* Does the thread wait for the descriptor of a connection, or at the limit? */
static bool waits(struct call *call) {
    static const long waiting[] = {
#ifdef SYS_poll
        SYS_poll,
#endif
        SYS_ppoll, SYS_read, SYS_futex};
    char path[64];
    long number = -1;
    FILE *file;

    if (machine_is_slow()) {
        /* Valgrind's own waits hide those of the program. */
        sleep_ms(1000);
        return call->task != 0;
    }
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", call->task);
    file = call->task ? fopen(path, "r") : NULL;
    if (!file)
        return false;
    if (fscanf(file, "%ld", &number) != 1)
        number = -1; /* it runs */
    fclose(file);
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
        if (number == waiting[i])
            return true;
    return false;
}

static void *read_for_ever(void *arg) {
    struct call *self = arg;
    char buffer[64];

    self->task = gettid();
    self->result = dplx_conn_read(self->conn, buffer, sizeof buffer, -1);
    strncpy(self->error, dplx_last_error(), sizeof self->error - 1);
    self->done = true;
    return NULL;
}

static void *write_for_ever(void *arg) {
    enum { SIZE = 64 << 20 };
    struct call *self = arg;
    char *block = calloc(1, SIZE);

    self->task = gettid();
    self->result = dplx_conn_write(self->conn, block, SIZE, -1);
    strncpy(self->error, dplx_last_error(), sizeof self->error - 1);
    self->done = true;
    free(block);
    return NULL;
}

static void check_ends(bool over_tls, void *(*run)(void *), const char *text) {
    struct call call = {.conn = NULL};
    double began;

    begin_slow(over_tls);
    call.conn = dplx_connect(ctx, LIMIT_MS);
    REQUIRE(call.conn, "a connection is made");
    call.use = dplx_conn_use(call.conn);
    CHECK(call.use != 0 && dplx_conn_use(call.conn) == call.use, "its use has a number");
    logs_collect();
    pthread_create(&call.thread, NULL, run, &call);
    CHECK(EVENTUALLY(waits(&call)) && !call.done, "a thread waits");
    began = seconds_now();
    CHECK_STATUS(dplx_cancel(call.use), DPL_SUCCESS, "another one cancels it");
    pthread_join(call.thread, NULL);
    CHECK(in_time(began, 2), "which ends it at once");
    CHECK_INT(call.result, DPL_FAILURE, "with a failure");
    CHECK(strstr(call.error, text) && strstr(call.error, ": cancelled"), "that is named");
    CHECK_STATUS(dplx_conn_write(call.conn, "x", 1, 0), DPL_FAILURE, "nothing is written any more");
    CHECK_INT(dplx_conn_read(call.conn, call.error, 1, 0), DPL_FAILURE, "and nothing read");
    CHECK_INT(logs_count(), 0, "none of it is logged, since the program wants it");
    dplx_conn_reply_complete(call.conn);
    dpl_conn_release(call.conn);
    CHECK_INT(ctx->n_conn_fds, 0, "it is closed when it is given back");
    CHECK_INT(hosts_available(ctx), 1, "the host is not blamed");
    CHECK_STATUS(dplx_cancel(call.use), DPL_ENOENT, "then its use is over");
    end_slow();
}

static void read_ends(void) {
    check_ends(false, read_for_ever, "read from");
}

static void read_over_tls_ends(void) {
    check_ends(true, read_for_ever, "read from");
}

static void write_ends(void) {
    check_ends(false, write_for_ever, "write to");
}

static void write_over_tls_ends(void) {
    check_ends(true, write_for_ever, "write to");
}

/* Droplet's own reader, or the program, reads from conn->fd. */
static void *read_descriptor(void *arg) {
    struct call *self = arg;
    char byte;

    self->task = gettid();
    self->result = read(self->conn->fd, &byte, 1);
    return NULL;
}

static void reads_of_the_program_end(void) {
    struct call call = {.result = -1};

    begin_slow(false);
    call.conn = dplx_connect(ctx, LIMIT_MS);
    call.use = dplx_conn_use(call.conn);
    pthread_create(&call.thread, NULL, read_descriptor, &call);
    CHECK(EVENTUALLY(waits(&call)), "a thread reads from a descriptor");
    CHECK_STATUS(dplx_cancel(call.use), DPL_SUCCESS, "its use is cancelled");
    pthread_join(call.thread, NULL);
    CHECK_INT(call.result, 0, "the read sees the end");
    dpl_blacklist_host(ctx, call.conn->host, call.conn->port);
    CHECK_INT(hosts_available(ctx), 1, "for which the host is not blamed");
    dpl_conn_release(call.conn);
    CHECK_INT(ctx->n_conn_fds, 0, "it is closed");
    end_slow();
}

/* Both readers. A body without a length ends with the connection: that of a cancelled one is no end. */
static void *read_body_in_steps(void *arg) {
    struct call *self = arg;
    char buffer[64];

    self->task = gettid();
    while ((self->result = dplx_reply_read(self->conn, buffer, sizeof buffer, -1)) > 0)
        self->has_data = true;
    strncpy(self->error, dplx_last_error(), sizeof self->error - 1);
    self->done = true;
    return NULL;
}

static dpl_status_t note_data(void *arg, char *data, unsigned int len) {
    struct call *self = arg;

    (void)data;
    self->has_data = len > 0;
    return DPL_SUCCESS;
}

static void *read_body_at_once(void *arg) {
    struct call *self = arg;

    self->task = gettid();
    self->result = dpl_read_http_reply_buffered(self->conn, 1, NULL, NULL, note_data, self);
    strncpy(self->error, dplx_last_error(), sizeof self->error - 1);
    self->done = true;
    return NULL;
}

static void check_body_ends(void *(*run)(void *)) {
    struct ends ends = begin(false, "");
    struct call call = {.conn = NULL};

    request(&ends);
    call.conn = ends.conn;
    call.use = dplx_conn_use(call.conn);
    say(&ends, OK "Connection: close\r\n\r\nhalf");
    logs_collect();
    pthread_create(&call.thread, NULL, run, &call);
    CHECK(EVENTUALLY(call.has_data && waits(&call)) && !call.done, "a thread waits for the rest of a body");
    CHECK_STATUS(dplx_cancel(call.use), DPL_SUCCESS, "another thread cancels it");
    pthread_join(call.thread, NULL);
    CHECK_INT(call.result, DPL_FAILURE, "which is no end of the body");
    CHECK(strstr(call.error, ": cancelled"), "but named");
    CHECK_INT(dplx_reply_status(call.conn, 0), DPL_FAILURE, "there is no status any more");
    CHECK_INT(dplx_reply_read(call.conn, call.error, 1, 0), DPL_FAILURE, "nothing more is read");
    CHECK_INT(logs_count(), 0, "nothing is logged, since the program wants it");
    dpl_conn_release(call.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "the connection is closed when it is given back");
    CHECK_INT(hosts_available(ends.ctx), 1, "the host is not blamed");
    end(&ends);
}

static void reply_in_steps_ends(void) {
    check_body_ends(read_body_in_steps);
}

static void reply_at_once_ends(void) {
    check_body_ends(read_body_at_once);
}

/* ---- checkouts --------------------------------------------------------------------- */

static void *connect_for_ever(void *arg) {
    struct call *self = arg;

    self->task = gettid();
    self->conn = dplx_connect_cancellable(ctx, NULL, self->use, -1);
    strncpy(self->error, dplx_last_error(), sizeof self->error - 1);
    self->done = true;
    return NULL;
}

static void check_connect_ends(const char *what) {
    struct call call = {.use = dplx_use_new()};
    double began;

    pthread_create(&call.thread, NULL, connect_for_ever, &call);
    CHECK(EVENTUALLY(waits(&call)) && !call.done, "a call waits %s", what);
    began = seconds_now();
    CHECK_STATUS(dplx_cancel(call.use), DPL_SUCCESS, "another thread cancels it");
    pthread_join(call.thread, NULL);
    CHECK(in_time(began, 2), "which ends it soon");
    CHECK(!call.conn && strstr(call.error, "cancelled"), "without a connection");
    CHECK_STATUS(dplx_cancel(call.use), DPL_ENOENT, "its use is over");
}

static void connect_ends(void) {
    struct server *deaf = server_start((struct server_options){.refuse = true});

    server_go_deaf(deaf);
    ctx = context_over_server(deaf, "connection_timeout = 50");
    check_connect_ends("for a host that does not answer");
    CHECK_INT(hosts_available(ctx), 1, "the host is not blamed");
    dpl_ctx_free(ctx);
    server_stop(deaf);
}

static void wait_at_the_limit_ends(void) {
    struct server *alive = server_answering(1);
    dpl_conn_t *conn;

    ctx = context_over_server(alive, "");
    dplx_ctx_set_wait(ctx, -1);
    conn = dplx_connect(ctx, LIMIT_MS);
    ctx->n_conn_max = 1;
    check_connect_ends("at the limit");
    CHECK(answered_on(conn, 1), "whoever has the connection goes on");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(alive);
}

static void cancel_may_come_first(void) {
    struct server *alive = server_answering(1);
    uint64_t use = dplx_use_new();
    dpl_req_t *req;
    dpl_conn_t *conn;

    ctx = context_over_server(alive, "");
    logs_collect();
    CHECK_STATUS(dplx_cancel(use), DPL_SUCCESS, "a use is cancelled before its call");
    CHECK(!dplx_connect_cancellable(ctx, NULL, use, -1), "which fails");
    CHECK(strstr(dplx_last_error(), "cancelled"), "for this reason");
    CHECK_INT(logs_count(), 0, "which is not logged: the program has asked for it");
    CHECK_INT(server_accepted(alive), 0, "before it connects");
    CHECK(!dplx_connect_cancellable(ctx, NULL, use, -1), "a number serves once");
    CHECK(!dplx_connect_cancellable(ctx, NULL, 0, -1), "and 0 never");
    req = request_new(ctx);
    conn = dplx_connect_cancellable(ctx, req, dplx_use_new(), -1);
    CHECK(conn && req->host && strcmp(req->host, "127.0.0.1") == 0, "a request is told its host");
    dpl_conn_release(conn);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(alive);
}

int main(void) {
    test_begin("dplx_cancel");
    RUN(read_ends);
    RUN(read_over_tls_ends);
    RUN(write_ends);
    RUN(write_over_tls_ends);
    RUN(reads_of_the_program_end);
    RUN(reply_in_steps_ends);
    RUN(reply_at_once_ends);
    RUN(connect_ends);
    RUN(wait_at_the_limit_ends);
    RUN(cancel_may_come_first);
    return test_end();
}
