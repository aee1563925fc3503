/* The trace of connections: what the library says that it does, without a failure of the program's. */
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/ends.h"
#include "support/logs.h"

static struct {
    int calls;
    unsigned level;
    char function[64], text[256];
} last;

static void take_trace(pid_t tid, unsigned level, const char *file, const char *func, int line,
                       char *message) {
    (void)tid, (void)file, (void)line;
    last.calls++;
    last.level = level;
    snprintf(last.function, sizeof last.function, "%s", func);
    snprintf(last.text, sizeof last.text, "%s", message);
}

/* A context over one host that refuses, whose traces are taken. */
static dpl_ctx_t *traced_context(struct server *server, const char *more) {
    dpl_ctx_t *ctx = context_over_server(server, more);

    REQUIRE(ctx, "a context is made");
    memset(&last, 0, sizeof last);
    ctx->trace_func = take_trace;
    ctx->trace_level = DPL_TRACE_CONN;
    return ctx;
}

static void check_trace(const char *function, const char *text) {
    CHECK_INT(last.level, DPL_TRACE_CONN, "the trace of connections");
    CHECK_STR(last.function, function, "names the call");
    CHECK_STR(last.text, text, "and what it did");
}

static void trace_says_how_long_a_host_is_out(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = traced_context(server, "blacklist_expiretime = 20");
    char text[128];

    logs_collect();
    CHECK_STATUS(try_connect(ctx, NULL), DPL_FAILURE, "the host refuses");
    snprintf(text, sizeof text, "%s is blacklisted for 20 s", server_name(server));
    check_trace("dpl_try_connect", text);
    CHECK_INT(last.calls, 1, "once");
    dpl_ctx_free(ctx);

    ctx = traced_context(server, "blacklist_expiretime = -1");
    CHECK(!dplx_connect(ctx, LIMIT_MS), "so it does another call");
    snprintf(text, sizeof text, "%s is blacklisted for good", server_name(server));
    check_trace("dplx_connect", text);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Three connections, whose replies state the same limits. The trace has this text, once. */
static void check_limits(const char *keep_alive, const char *text) {
    struct ends ends = begin(false, "");
    struct reply reply;
    char answer[200];

    memset(&last, 0, sizeof last);
    ends.ctx->trace_func = take_trace;
    ends.ctx->trace_level = DPL_TRACE_CONN;
    for (int i = 0; i < 3; i++) {
        request(&ends);
        snprintf(answer, sizeof answer, OK "Keep-Alive: %s\r\nContent-Length: 0\r\n\r\n", keep_alive);
        say(&ends, answer);
        reply = receive(&ends, 1);
        forget(&reply);
        dpl_conn_terminate(ends.conn);
    }
    CHECK(strstr(last.text, text) != NULL, "%s: the trace says \"%s\"", keep_alive, text);
    CHECK(strncmp(last.text, "127.0.0.1:", 10) == 0, "of which host");
    CHECK_INT(last.calls, 1, "once a change");
    end(&ends);
}

static void trace_says_which_limits_a_server_has(void) {
    check_limits("timeout=1000", ": idle connections are used within 995.");
    check_limits("timeout=1000", " s, no limit on requests is known");
    check_limits("max=100", ": no idle timeout is known, a connection is used ");
    check_limits("timeout=1000, max=100", " s, a connection is used ");
}

static void nothing_is_traced_unasked(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = traced_context(server, "");

    ctx->trace_level = ~(unsigned)DPL_TRACE_CONN;
    logs_collect();
    CHECK_STATUS(try_connect(ctx, NULL), DPL_FAILURE, "the host refuses");
    CHECK_INT(last.calls, 0, "the trace of connections is off");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("traces");
    RUN(trace_says_how_long_a_host_is_out);
    RUN(trace_says_which_limits_a_server_has);
    RUN(nothing_is_traced_unasked);
    return test_end();
}
