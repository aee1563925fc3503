/*
 * The layouts of dpl_ctx_t: a context is known by its own, whatever its profile says, and any other
 * is refused.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/logs.h"

static struct server *server;

/* Another layout has one of the numbers that tell layouts apart where this one has these. */
static void profile_does_not_hide_the_layout(void) {
    static const char *const profiles[] = {
        "",
        "enterprise_number = 0",
        "enterprise_number = 1",
        "enterprise_number = 10",
        "enterprise_number = 50; url_encoding = false",
        "enterprise_number = 1021; header_size = 900",
        "header_size = 10; read_buf_size = 10",
    };

    server = server_answering(1);
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        dpl_ctx_t *ctx = context_over_server(server, profiles[i]);
        dpl_conn_t *conn;

        REQUIRE(ctx, "a context is made: %s", profiles[i]);
        CHECK(ctx->conn_buckets != NULL, "it has a pool");
        conn = checkout(ctx);
        REQUIRE(conn, "a connection is made");
        CHECK_INT(ctx->n_conn_fds, 1, "which is counted");
        CHECK(!ctx->request_pricing && !ctx->ssl_bio && (ctx->ssl_ctx != NULL) == tls_wanted(),
              "other fields stay as they were");
        CHECK(answered_on(conn, 1), "it serves");
        dpl_conn_release(conn);
        dpl_ctx_free(ctx);
    }
    server_stop(server);
}

/* A copy of a context, as it was before its pool was made, with room for more. */
static char *new_context_like(const dpl_ctx_t *ctx) {
    enum { MORE = 64 };
    char *copy = calloc(1, sizeof *ctx + MORE);
    dpl_ctx_t *head = (dpl_ctx_t *)(void *)copy;

    memcpy(copy, ctx, sizeof *ctx);
    head->conn_buckets = NULL;
    head->n_conn_fds = 0;
    head->cwds = NULL;
    head->cur_bucket = NULL;
    return copy;
}

/* With a field more or less in this place. */
static void check_refused(const dpl_ctx_t *ctx, size_t place, int more, const char *what) {
    char *other = new_context_like(ctx);

    if (more > 0) {
        memmove(other + place + more, other + place, sizeof *ctx - place);
        memset(other + place, 0, more);
    } else {
        memmove(other + place, other + place - more, sizeof *ctx - place + more);
    }
    logs_collect();
    CHECK_STATUS(dpl_conn_pool_init((void *)other), DPL_FAILURE, "%s", what);
    CHECK_INT(logs_with("this dpl_ctx_t is laid out neither as in Droplet 3.0 since June 2014"), 1,
              "the log says why");
    CHECK_INT(logs_count(), 1, "and no more");
    free(other);
}

static void other_layouts_are_refused(void) {
    dpl_ctx_t *ctx;
    char *same;

    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
    same = new_context_like(ctx);
    CHECK_STATUS(dpl_conn_pool_init((void *)same), DPL_SUCCESS, "its copy gets a pool too");
    dpl_conn_pool_destroy((void *)same);
    free(same);
    check_refused(ctx, offsetof(dpl_ctx_t, ssl_crl_list), -8, "without ssl_crl_list: May 2014");
    check_refused(ctx, offsetof(dpl_ctx_t, trace_level), 8, "more before the switches");
    check_refused(ctx, offsetof(dpl_ctx_t, backend), 8, "more before the backend");
    check_refused(ctx, offsetof(dpl_ctx_t, conn_buckets), 8, "more before the pool");
    check_refused(ctx, offsetof(dpl_ctx_t, cwds), 8, "more behind it");
    check_refused(ctx, offsetof(dpl_ctx_t, ssl_bio), -8, "less before it");
    CHECK(answered(ctx, 1), "the context still works");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* As for a user without a home directory, for whom Droplet knows no directory and no name. */
static void names_may_be_missing(void) {
    static char nowhere[] = "";
    dpl_ctx_t *ctx;
    dpl_ctx_t *nameless;

    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
    nameless = (dpl_ctx_t *)(void *)new_context_like(ctx);
    nameless->droplet_dir = NULL;
    nameless->profile_name = NULL;
    nameless->pricing_dir = nowhere;
    REQUIRE(dpl_conn_pool_init(nameless) == DPL_SUCCESS, "it gets a pool");
    CHECK(answered(nameless, 1), "it works");
    CHECK_INT(nameless->n_conn_fds, 1, "its connection is counted");
    dpl_conn_pool_destroy(nameless);
    free(nameless);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* A program may make the pool of a context again that was in use, with what Droplet has set meanwhile. */
static void pool_may_be_made_again(void) {
    static char bucket[] = "";
    dpl_ctx_t *ctx;
    dpl_dict_t *cwds;
    char *cur_bucket;

    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
    CHECK(answered(ctx, 1), "it is used");
    dpl_conn_pool_destroy(ctx);
    cwds = ctx->cwds;
    cur_bucket = ctx->cur_bucket;
    ctx->cwds = (dpl_dict_t *)(void *)bucket;
    ctx->cur_bucket = bucket;
    CHECK_STATUS(dpl_conn_pool_init(ctx), DPL_SUCCESS, "its pool is made again");
    CHECK(answered(ctx, 2), "it works");
    ctx->cwds = cwds;
    ctx->cur_bucket = cur_bucket;
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("layouts");
    RUN(profile_does_not_hide_the_layout);
    RUN(other_layouts_are_refused);
    RUN(names_may_be_missing);
    RUN(pool_may_be_made_again);
    return test_end();
}
