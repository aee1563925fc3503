/* Each way to fail: its status, its line in the log, and whether the host is blacklisted for it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/memory.h"
#include "support/namespace.h"

/* One host, and a context over it. */
static struct server *server;
static dpl_ctx_t *ctx;

static void serve(struct server_options options, const char *more) {
    server = server_start(options);
    ctx = context_over_server(server, more);
    REQUIRE(ctx, "a context is made");
}

static void serve_answers(void) {
    serve((struct server_options){.id = 1}, "");
}

/* Over TLS, also where the tests run over plain connections. */
static void serve_over_tls(struct server_options options, const char *more) {
    char text[512];

    options.tls = TLS_ALWAYS;
    server = server_start(options);
    snprintf(text, sizeof text, "use_https = true\nssl_ca_list = \"%s\"\nhost = \"%s\"\n%s\n",
             authority_file(), server_name(server), more);
    ctx = context_from_text(text);
    REQUIRE(ctx, "a context is made");
}

/* ---- connects ---------------------------------------------------------------------- */

static dpl_status_t refused(void) {
    serve((struct server_options){.refuse = true}, "");
    return try_connect(ctx, NULL);
}

/* No machine has a TCP route to a multicast address. */
static dpl_status_t unreachable(void) {
    ctx = context_over("224.0.0.1:80", "");
    return try_connect(ctx, NULL);
}

static dpl_status_t no_answer(void) {
    serve((struct server_options){.refuse = true}, "connection_timeout = 1");
    server_go_deaf(server);
    return try_connect(ctx, NULL);
}

static dpl_status_t reset_in_the_handshake(void) {
    serve_over_tls((struct server_options){.behaviour = RESET_ON_ACCEPT}, "");
    return try_connect(ctx, NULL);
}

static dpl_status_t silence_in_the_handshake(void) {
    serve_over_tls((struct server_options){.behaviour = SILENT}, "connection_timeout = 1");
    return try_connect(ctx, NULL);
}

static dpl_status_t no_tls_at_all(void) {
    char text[512];

    server = server_start((struct server_options){.tls = TLS_NEVER, .behaviour = HANG_UP});
    snprintf(text, sizeof text, "use_https = true\nconnection_timeout = %d\nhost = \"%s\"\n",
             (int)patience(1), server_name(server));
    ctx = context_from_text(text);
    return try_connect(ctx, NULL);
}

static dpl_status_t certificate_of_another(void) {
    serve_over_tls((struct server_options){.tls_names = "DNS:another.test"}, "");
    return try_connect(ctx, NULL);
}

/* ---- names ------------------------------------------------------------------------- */

static bool serve_by_name(void) {
    char host[64];

    if (!own_names("127.0.0.1 a.test\n"))
        return false;
    server = server_start((struct server_options){.tls_names = "DNS:a.test"});
    snprintf(host, sizeof host, "a.test:%s", server_port(server));
    ctx = context_over(host, "");
    REQUIRE(ctx, "a context is made");
    return true;
}

static dpl_status_t name_that_is_gone(void) {
    if (!serve_by_name())
        return DPL_SUCCESS;
    names_become("");
    sleep_ms(5200); /* look-ups are good for 5 s */
    return try_connect(ctx, NULL);
}

/* A program may make an entry of its own, and name a host there without an address. */
static dpl_status_t name_that_never_was(void) {
    dpl_addr_t *addr = calloc(1, sizeof *addr);

    ctx = context_over("127.0.0.1:1", "");
    addr->host = malloc(65);
    memset(addr->host, 'x', 64); /* too long for a label: no name server is asked */
    addr->host[64] = '\0';
    addr->portstr = strdup("80");
    addr->port = 80;
    dpl_addrlist_lock(ctx->addrlist);
    dpl_addrlist_clear_nolock(ctx->addrlist);
    dpl_addrlist_add_nolock(ctx->addrlist, addr);
    dpl_addrlist_unlock(ctx->addrlist);
    return try_connect(ctx, NULL);
}

static dpl_status_t virtual_name_that_never_was(void) {
    char too_long_for_a_label[65];
    dpl_conn_t *conn = NULL;
    dpl_status_t status;
    dpl_req_t *req;

    serve_answers();
    memset(too_long_for_a_label, 'b', 64);
    too_long_for_a_label[64] = '\0';
    req = dpl_req_new(ctx);
    dpl_req_set_bucket(req, too_long_for_a_label);
    status = dpl_try_connect(ctx, req, &conn);
    dpl_req_free(req);
    return status;
}

/* ---- this side --------------------------------------------------------------------- */

static dpl_status_t no_descriptors(void) {
    struct rlimit before, few;
    dpl_status_t status;
    int fds[256];
    int n = 0;

    serve_answers();
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    while (n < 256 && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    status = try_connect(ctx, NULL);
    while (n > 0)
        close(fds[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
    return status;
}

static dpl_status_t no_connection_left(void) {
    dpl_status_t status;
    dpl_conn_t *conn;

    serve_answers();
    ctx->n_conn_max = 1;
    REQUIRE((conn = checkout(ctx)) != NULL, "the only connection is in use");
    status = try_connect(ctx, NULL);
    dpl_conn_release(conn);
    return status;
}

static dpl_status_t no_memory(void) {
    struct rlimit before, little;
    dpl_status_t status;

    if (machine_is_slow()) {
        check_skip("a slower machine (valgrind) has memory of its own");
        ctx = NULL;
        return DPL_ENOMEM;
    }
    serve_answers();
    getrlimit(RLIMIT_AS, &before);
    little = (struct rlimit){.rlim_cur = (rlim_t)memory_in_use() + (1L << 30),
                             .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_AS, &little);
    ctx->read_buf_size = 1U << 31;
    status = try_connect(ctx, NULL);
    ctx->read_buf_size = 8192;
    setrlimit(RLIMIT_AS, &before);
    return status;
}

static dpl_status_t no_local_port(void) {
    dpl_status_t status;
    dpl_conn_t *conn;

    if (!own_network())
        return DPL_ESYS;
    serve_answers();
    REQUIRE(set_of_network("ipv4/ip_local_port_range", "61001 61001"), "there is one local port");
    REQUIRE((conn = checkout(ctx)) != NULL, "which is in use");
    status = try_connect(ctx, NULL);
    dpl_conn_terminate(conn);
    set_of_network("ipv4/ip_local_port_range", "32768 60999");
    return status;
}

/* ---- requests ---------------------------------------------------------------------- */

/* The first write may still reach a peer that has gone. */
static dpl_status_t write_until_it_fails(dpl_conn_t *conn) {
    dpl_status_t status = DPL_SUCCESS;

    for (int i = 0; i < 50 && status == DPL_SUCCESS; i++) {
        status = write_string(conn, "GET / HTTP/1.1\r\n\r\n", 5);
        sleep_ms(5);
    }
    dpl_conn_terminate(conn);
    return status;
}

static dpl_status_t reset_before_the_first_write(void) {
    dpl_conn_t *conn;

    serve_answers();
    REQUIRE((conn = checkout(ctx)) != NULL, "a new connection is made");
    REQUIRE(EVENTUALLY(server_open(server) == 1), "which the server has");
    server_reset_connections(server);
    return write_until_it_fails(conn);
}

/* The connection is to b.a.test, at an address that a.test does not have. */
static dpl_status_t write_to_a_virtual_host_elsewhere(void) {
    dpl_conn_t *conn = NULL;
    char host[64];
    dpl_req_t *req;

    if (!own_names("127.0.0.1 a.test\n127.0.0.2 b.a.test\n"))
        return DPL_SUCCESS;
    server = server_start(
        (struct server_options){.address = "127.0.0.2", .id = 1, .tls_names = "DNS:b.a.test"});
    snprintf(host, sizeof host, "a.test:%s", server_port(server));
    ctx = context_over(host, "");
    REQUIRE(ctx, "a context is made");
    req = dpl_req_new(ctx);
    dpl_req_set_bucket(req, "b");
    dpl_try_connect(ctx, req, &conn);
    dpl_req_free(req);
    REQUIRE(conn, "a new connection is made");
    REQUIRE(EVENTUALLY(server_open(server) == 1), "which the server has");
    server_reset_connections(server);
    return write_until_it_fails(conn);
}

static dpl_status_t reset_before_a_later_write(void) {
    dpl_conn_t *conn;

    serve_answers();
    REQUIRE(leave_idle(ctx, 1), "a connection has served");
    REQUIRE((conn = checkout(ctx)) != NULL && conn->n_hits == 1, "and is used again");
    server_reset_connections(server);
    return write_until_it_fails(conn);
}

static dpl_status_t write_that_stands_still(void) {
    enum { MUCH = 32 * 1024 * 1024 };
    void *bytes = calloc(1, MUCH);
    struct iovec iov = {.iov_base = bytes, .iov_len = MUCH};
    dpl_status_t status;
    dpl_conn_t *conn;

    serve((struct server_options){.receive_buffer = 4096}, "");
    REQUIRE((conn = checkout(ctx)) != NULL, "a new connection is made");
    REQUIRE(EVENTUALLY(server_open(server) == 1), "which the server has");
    server_behave(server, SILENT);
    status = dpl_conn_writev_all(conn, &iov, 1, 1);
    dpl_conn_terminate(conn);
    free(bytes);
    return status;
}

static dpl_status_t stale_connection_seen_by_the_reader(void) {
    serve_answers();
    REQUIRE(leave_idle(ctx, 1), "a connection has served, and is idle");
    server_behave(server, HANG_UP);
    return ask(ctx, 1).status;
}

static dpl_status_t fresh_connection_without_a_reply(void) {
    serve((struct server_options){.behaviour = HANG_UP}, "");
    return ask(ctx, 1).status;
}

static dpl_status_t reply_that_breaks_off(void) {
    serve((struct server_options){.behaviour = ANSWER_HALF}, "");
    return ask(ctx, 1).status;
}

static dpl_status_t error_of_the_servers(void) {
    serve((struct server_options){.behaviour = ANSWER_500}, "");
    return ask(ctx, 1).status;
}

static dpl_status_t order_of_the_programs(void) {
    serve_answers();
    dpl_blacklist_host(ctx, "127.0.0.1", server_port(server));
    return try_connect(ctx, NULL);
}

/* ---- the table --------------------------------------------------------------------- */

enum { IS_IN, IS_OUT };

static const struct cause {
    const char *name;
    dpl_status_t (*happen)(void);
    dpl_status_t status;
    int host;
    const char *log; /* NULL: not a line */
} causes[] = {
    {"refused", refused, DPL_FAILURE, IS_OUT, "Connection refused"},
    {"unreachable", unreachable, DPL_FAILURE, IS_OUT, "224.0.0.1:80: Network is unreachable"},
    {"no_answer", no_answer, DPL_FAILURE, IS_OUT, "Connection timed out"},
    {"reset_in_the_handshake", reset_in_the_handshake, DPL_FAILURE, IS_OUT, "reset by peer"},
    {"silence_in_the_handshake", silence_in_the_handshake, DPL_FAILURE, IS_OUT,
     "TLS handshake timed out"},
    {"no_tls_at_all", no_tls_at_all, DPL_FAILURE, IS_OUT, "TLS handshake"},
    {"certificate_of_another", certificate_of_another, DPL_FAILURE, IS_OUT, "certificate refused"},

    {"name_that_is_gone", name_that_is_gone, DPL_SUCCESS, IS_IN, NULL},
    {"name_that_never_was", name_that_never_was, DPL_FAILURE, IS_OUT, "no address for xxxx"},
    {"virtual_name_that_never_was", virtual_name_that_never_was, DPL_FAILURE, IS_IN,
     "no address for bbbb"},

    {"no_descriptors", no_descriptors, DPL_ESYS, IS_IN, "Too many open files"},
    {"no_connection_left", no_connection_left, DPL_ELIMIT, IS_IN, "n_conn_max"},
    {"no_memory", no_memory, DPL_ENOMEM, IS_IN, "out of memory"},
    {"no_local_port", no_local_port, DPL_ESYS, IS_IN, "Cannot assign requested address"},

    {"reset_before_the_first_write", reset_before_the_first_write, DPL_FAILURE, IS_OUT,
     "write to 127.0.0.1:"},
    {"write_to_a_virtual_host_elsewhere", write_to_a_virtual_host_elsewhere, DPL_FAILURE, IS_IN,
     "write to 127.0.0.2:"},
    {"reset_before_a_later_write", reset_before_a_later_write, DPL_FAILURE, IS_IN,
     "write to 127.0.0.1:"},
    {"write_that_stands_still", write_that_stands_still, DPL_ETIMEOUT, IS_OUT, "timed out"},
    {"stale_connection_seen_by_the_reader", stale_connection_seen_by_the_reader, DPL_FAILURE, IS_IN,
     NULL},
    {"fresh_connection_without_a_reply", fresh_connection_without_a_reply, DPL_FAILURE, IS_OUT,
     NULL},
    {"reply_that_breaks_off", reply_that_breaks_off, DPL_FAILURE, IS_OUT, NULL},
    {"error_of_the_servers", error_of_the_servers, DPL_FAILURE, IS_OUT, NULL},
    {"order_of_the_programs", order_of_the_programs, DPL_SUCCESS, IS_OUT, NULL},
};

static const struct cause *cause;

static void status_log_and_host_are_as_in_the_table(void) {
    dpl_status_t status;

    logs_collect();
    status = cause->happen();
    if (!ctx)
        return; /* skipped */
    CHECK_STATUS(status, cause->status, "%s: the status", cause->name);
    if (cause->log)
        CHECK_INT(logs_with(cause->log), 1, "the log has one line of it");
    else
        CHECK_INT(logs_count(), logs_with("dpl_read_http_reply"),
                  "the log has no line, save for the reader's own");
    CHECK_INT(hosts_available(ctx), cause->host == IS_IN, "the host is %s",
              cause->host == IS_IN ? "not out" : "out");
    dpl_ctx_free(ctx);
    if (server)
        server_stop(server);
}

int main(void) {
    test_begin("blame");
    for (cause = causes; cause < causes + sizeof causes / sizeof *causes; cause++)
        test_run(cause->name, status_log_and_host_are_as_in_the_table);
    return test_end();
}
