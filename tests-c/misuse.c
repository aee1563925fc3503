/*
 * Calls that make no sense: each has a defined outcome, and one line in the log
 * that names the function.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/scratch.h"

static struct server *server;
static dpl_ctx_t *ctx;

static void begin(void) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
    logs_collect();
}

static void end(void) {
    CHECK(answered(ctx, 1), "a request is answered afterwards");
    CHECK_INT(blacklisted_until(ctx, server), 0, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void check_logged(const char *function) {
    CHECK_INT(logs_with(function), 1, "one line in the log names %s", function);
    CHECK_INT(logs_count(), 1, "it is the only one");
    logs_collect();
}

#define CHECK_REFUSED_WITH(status, call, function, what) \
    (CHECK_STATUS((call), status, "%s: %s", function, what), check_logged(function))
#define CHECK_REFUSED(call, function, what) CHECK_REFUSED_WITH(DPL_EINVAL, call, function, what)
#define CHECK_FAILS(call, function, what) CHECK_REFUSED_WITH(DPL_FAILURE, call, function, what)
#define CHECK_NULL(call, function, what) \
    (CHECK((call) == NULL, "%s: %s", function, what), check_logged(function))

/* ---- arguments --------------------------------------------------------------------- */

static void connect_checks_its_arguments(void) {
    dpl_conn_t *conn = NULL;
    dpl_req_t *req;

    begin();
    req = request_new(ctx);
    CHECK_REFUSED(dpl_try_connect(NULL, req, &conn), "dpl_try_connect", "no context");
    CHECK_REFUSED(dpl_try_connect(ctx, NULL, &conn), "dpl_try_connect", "no request");
    CHECK(conn == NULL, "*connp is unchanged");
    CHECK_NULL(dpl_conn_open_host(NULL, AF_INET, "127.0.0.1", "80"), "dpl_conn_open_host",
               "no context");
    CHECK_NULL(dpl_conn_open_host(ctx, AF_INET, NULL, "80"), "dpl_conn_open_host", "no host");
    CHECK_NULL(dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", NULL), "dpl_conn_open_host",
               "no port");
    CHECK_NULL(dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", "http?"), "dpl_conn_open_host",
               "a port that is no number");
    dpl_req_free(req);
    end();
}

static void open_file_checks_its_arguments(void) {
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    begin();
    CHECK_NULL(dpl_conn_open_file(NULL, fd), "dpl_conn_open_file", "no context");
    CHECK_NULL(dpl_conn_open_file(ctx, -1), "dpl_conn_open_file", "a negative descriptor");
    CHECK(fcntl(fd, F_GETFD) >= 0, "a descriptor that was not taken stays open");
    close(fd);
    end();
}

static void write_checks_its_arguments(void) {
    struct iovec iov = {.iov_base = "x", .iov_len = 1};
    struct iovec nowhere = {.iov_base = NULL, .iov_len = 1};
    dpl_conn_t *conn;

    begin();
    conn = checkout(ctx);
    REQUIRE(conn, "a connection is made");
    CHECK_REFUSED(dpl_conn_writev_all(NULL, &iov, 1, 1), "dpl_conn_writev_all", "no connection");
    CHECK_REFUSED(dpl_conn_writev_all(conn, NULL, 1, 1), "dpl_conn_writev_all", "no pieces");
    CHECK_REFUSED(dpl_conn_writev_all(conn, &iov, -1, 1), "dpl_conn_writev_all",
                  "a negative count");
    CHECK_REFUSED(dpl_conn_writev_all(conn, &nowhere, 1, 1), "dpl_conn_writev_all",
                  "a piece that is nowhere");
    CHECK(answered_on(conn, 1), "the connection still works");
    dpl_conn_release(conn);
    end();
}

static void giving_back_nothing_is_harmless(void) {
    begin();
    dpl_conn_release(NULL); /* as free(NULL) is */
    dpl_conn_terminate(NULL);
    dpl_conn_pool_destroy(NULL);
    CHECK_INT(logs_count(), 0, "and nothing to speak of");
    end();
}

static void blaming_nobody_is_harmless(void) {
    begin();
    dpl_blacklist_host(NULL, "127.0.0.1", server_port(server));
    check_logged("dpl_blacklist_host");
    dpl_blacklist_host(ctx, NULL, server_port(server));
    check_logged("dpl_blacklist_host");
    dpl_blacklist_host(ctx, "127.0.0.1", NULL);
    check_logged("dpl_blacklist_host");
    end();
}

static void host_list_checks_its_arguments(void) {
    dpl_addrlist_t *list;

    begin();
    list = ctx->addrlist;
    CHECK_REFUSED(dpl_addrlist_add(list, NULL, "80"), "dpl_addrlist_add", "no host");
    CHECK_FAILS(dpl_addrlist_add(NULL, "127.0.0.1", "80"), "dpl_addrlist_add", "no list");
    CHECK_FAILS(dpl_addrlist_add_from_str(NULL, "127.0.0.1"), "dpl_addrlist_add_from_str",
                "no list");
    CHECK_FAILS(dpl_addrlist_add_from_str(list, NULL), "dpl_addrlist_add_from_str", "no text");
    CHECK_FAILS(dpl_addrlist_set_from_str(NULL, "127.0.0.1"), "dpl_addrlist_set_from_str",
                "no list");
    CHECK_FAILS(dpl_addrlist_set_from_str(list, NULL), "dpl_addrlist_set_from_str", "no text");
    CHECK_FAILS(dpl_addrlist_blacklist(NULL, "127.0.0.1", "80", 1), "dpl_addrlist_blacklist",
                "no list");
    CHECK_FAILS(dpl_addrlist_unblacklist(NULL, "127.0.0.1", "80"), "dpl_addrlist_unblacklist",
                "no list");
    CHECK_FAILS(dpl_addrlist_refresh_blacklist_nolock(NULL),
                "dpl_addrlist_refresh_blacklist_nolock", "no list");
    CHECK_REFUSED(dpl_addrlist_get_nth(list, 0, NULL), "dpl_addrlist_get_nth", "no result");
    CHECK_REFUSED(dpl_addrlist_get_rand(list, NULL), "dpl_addrlist_get_rand", "no result");
    CHECK_REFUSED(dpl_addrlist_blacklist(list, NULL, "80", 1), "dpl_addrlist_blacklist", "no host");
    CHECK_REFUSED(dpl_addrlist_unblacklist(list, "127.0.0.1", NULL), "dpl_addrlist_unblacklist",
                  "no port");
    CHECK_NULL(dpl_addrlist_create_from_str("80", NULL), "dpl_addrlist_create_from_str", "no text");
    CHECK_INT(dpl_addrlist_count(list), 1, "the list is as it was");
    end();
}

static void negative_number_counts_from_somewhere(void) {
    dpl_addr_t *addr = NULL;

    begin();
    /* A host or an error, but nothing from before the list. */
    if (dpl_addrlist_get_nth(ctx->addrlist, INT_MIN, &addr) == DPL_SUCCESS)
        CHECK(addr && strcmp(addr->portstr, server_port(server)) == 0, "host INT_MIN");
    else
        CHECK(addr == NULL, "host INT_MIN");
    end();
}

/* ---- connections ------------------------------------------------------------------- */

static void given_back_twice(void (*first)(dpl_conn_t *), void (*second)(dpl_conn_t *),
                             const char *function) {
    dpl_conn_t *a, *b;

    begin();
    a = checkout(ctx);
    REQUIRE(a, "a connection is made");
    first(a);
    second(a);
    check_logged(function);
    a = checkout(ctx);
    b = checkout(ctx);
    CHECK(a && b && a != b && a->fd != b->fd, "nobody gets the connection of another");
    CHECK(answered_on(a, 1) && answered_on(b, 2), "both work");
    dpl_conn_terminate(a);
    dpl_conn_terminate(b);
    CHECK_INT(ctx->n_conn_fds, 0, "none is counted twice");
    end();
}

static void release_may_come_twice(void) {
    given_back_twice(dpl_conn_release, dpl_conn_release, "dpl_conn_release");
}

static void terminate_may_come_twice(void) {
    given_back_twice(dpl_conn_terminate, dpl_conn_terminate, "dpl_conn_terminate");
}

static void terminate_may_follow_release(void) {
    given_back_twice(dpl_conn_release, dpl_conn_terminate, "dpl_conn_terminate");
}

static void released_connection_is_not_written_to(void) {
    dpl_conn_t *conn;

    begin();
    conn = checkout(ctx);
    REQUIRE(conn, "a connection is made");
    dpl_conn_release(conn);
    CHECK_REFUSED(write_string(conn, "x", 1), "dpl_conn_writev_all", "given back before");
    end();
}

static void connection_may_outlive_its_context(void) {
    dpl_conn_t *a, *b;

    begin();
    a = checkout(ctx);
    b = checkout(ctx);
    REQUIRE(a && b, "two connections are made");
    dpl_ctx_free(ctx);
    CHECK_INT(logs_with("connections of this context are still in use: 2"), 1, "they are counted");
    /* Droplet's own function calls that of the pool. */
    CHECK_INT(logs_with("dpl_conn_pool_destroy") + logs_with("dpl_ctx_free"), 1, "with the function");
    logs_collect();
    dpl_conn_release(a);
    check_logged("dpl_conn_release");
    dpl_conn_terminate(b);
    check_logged("dpl_conn_terminate");
    CHECK(EVENTUALLY(server_open(server) == 0), "they are closed");
    server_stop(server);
}

static void closed_descriptor_is_a_failure(void) {
    dpl_conn_t *conn;

    begin();
    conn = checkout(ctx);
    REQUIRE(conn, "a connection is made");
    REQUIRE(EVENTUALLY(server_open(server) == 1), "the server's end takes no descriptor later");
    close(conn->fd); /* not the program's to close */
    CHECK_STATUS(write_string(conn, "x", 1), DPL_FAILURE, "a write to a closed descriptor fails");
    dpl_conn_terminate(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "the connection can be given back");
    dpl_addrlist_unblacklist(ctx->addrlist, "127.0.0.1", server_port(server));
    end();
}

/* ---- contexts ---------------------------------------------------------------------- */

static void virtual_host_name_has_a_limit(void) {
    char bucket[5000];
    dpl_conn_t *conn = NULL;
    dpl_req_t *req;

    begin();
    req = dpl_req_new(ctx);
    memset(bucket, 'b', sizeof bucket);
    bucket[sizeof bucket - 1] = '\0';
    dpl_req_set_bucket(req, bucket);
    CHECK_STATUS(dpl_try_connect(ctx, req, &conn), DPL_ENAMETOOLONG, "a name of 5000 characters");
    check_logged("dpl_try_connect");
    CHECK(conn == NULL, "*connp is unchanged");
    dpl_req_free(req);
    end();
}

static void empty_host_list_is_a_failure(void) {
    dpl_conn_t *conn = NULL;
    dpl_req_t *req;

    begin();
    req = request_new(ctx);
    dpl_addrlist_lock(ctx->addrlist);
    dpl_addrlist_clear_nolock(ctx->addrlist);
    dpl_addrlist_unlock(ctx->addrlist);
    CHECK_STATUS(dpl_try_connect(ctx, req, &conn), DPL_FAILURE, "no host is in the list");
    dpl_addrlist_set_from_str(ctx->addrlist, server_name(server));
    dpl_req_free(req);
    end();
}

/* A context of another revision: the same beginning, then one more field. */
static void *other_revision(void) {
    enum { SAME = offsetof(dpl_ctx_t, cur_host), MORE = 64 };
    char *other = calloc(1, sizeof *ctx + MORE);

    memcpy(other, ctx, SAME);
    memcpy(other + SAME + 8, (char *)ctx + SAME, sizeof *ctx - SAME);
    ((dpl_ctx_t *)(void *)other)->max_redirects = 3; /* one that no revision has there */
    return other;
}

static void unknown_layout_is_refused(void) {
    void *other;
    void *nothing = calloc(1, sizeof *ctx + 64);

    begin();
    other = other_revision();
    CHECK_STATUS(dpl_conn_pool_init(other), DPL_FAILURE, "a context of another revision");
    check_logged("dpl_conn_pool_init");
    CHECK_STATUS(dpl_conn_pool_init(nothing), DPL_FAILURE, "a context full of zeroes");
    check_logged("dpl_conn_pool_init");
    CHECK_REFUSED(dpl_conn_pool_init(NULL), "dpl_conn_pool_init", "no context");
    dpl_conn_pool_destroy(nothing);
    free(other);
    free(nothing);
    end();
}

static void refused_profile_makes_no_context(void) {
    begin();
    CHECK(context_from_text("no_such_variable = 1\n") == NULL, "before its hosts");
    CHECK(context_from_text("host = 127.0.0.1\nno_such_variable = 1\n") == NULL, "after them");
    CHECK(context_from_text("host = 127.0.0.1\nhost = 127.0.0.2\n") == NULL, "hosts given twice");
    CHECK(context_from_text("use_https = perhaps\n") == NULL, "a value that is none");
    CHECK(context_from_text("") == NULL, "nothing at all");
    end();
}

/* Its limits were changed, and where the other layout has its pool there is another pointer. */
static void context_without_a_pool_is_left_alone(void) {
    dpl_ctx_t *half_made = calloc(1, sizeof *half_made);

    begin();
    half_made->n_conn_buckets = DPL_DEFAULT_N_CONN_BUCKETS;
    half_made->max_redirects = DPL_DEFAULT_MAX_REDIRECTS;
    half_made->n_conn_max = 7;
    half_made->n_conn_max_hits = 1;
    half_made->conn_idle_time = 2;
    half_made->data_pricing[1] = (void *)half_made;
    dpl_conn_pool_destroy(half_made);
    CHECK(half_made->data_pricing[1] == (void *)half_made,
          "a context without a pool is left alone");
    free(half_made);
    end();
}

int main(void) {
    test_begin("misuse");
    RUN(connect_checks_its_arguments);
    RUN(open_file_checks_its_arguments);
    RUN(write_checks_its_arguments);
    RUN(giving_back_nothing_is_harmless);
    RUN(blaming_nobody_is_harmless);
    RUN(host_list_checks_its_arguments);
    RUN(negative_number_counts_from_somewhere);
    RUN(release_may_come_twice);
    RUN(terminate_may_come_twice);
    RUN(terminate_may_follow_release);
    RUN(released_connection_is_not_written_to);
    RUN(connection_may_outlive_its_context);
    RUN(closed_descriptor_is_a_failure);
    RUN(virtual_host_name_has_a_limit);
    RUN(empty_host_list_is_a_failure);
    RUN(unknown_layout_is_refused);
    RUN(refused_profile_makes_no_context);
    RUN(context_without_a_pool_is_left_alone);
    return test_end();
}
