/* Names whose addresses change, in a hosts file of the test's own, and how often they are looked
 * up. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/lookups.h"
#include "support/namespace.h"

/* ---- other answers ----------------------------------------------------------------- */

static void name_that_is_gone_keeps_its_address(void) {
    struct server *server;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    CHECK(answered(ctx, 1), "a host by name answers");
    names_become("");
    let_look_ups_expire();
    CHECK(answered(ctx, 2), "its name is gone: the idle connection serves");
    CHECK_INT(server_accepted(server), 1, "without another");
    server_close_connections(server);
    sleep_ms(200);
    CHECK(answered(ctx, 3), "a new connection is made to its last address");
    CHECK_INT(server_accepted(server), 2, "one more");
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static bool list_shows(dpl_ctx_t *ctx, const char *address) {
    char text[INET6_ADDRSTRLEN] = "";
    dpl_addr_t *addr;

    dpl_addrlist_lock(ctx->addrlist);
    LIST_FOREACH (addr, &ctx->addrlist->addr_list, list)
        inet_ntop(addr->h->h_addrtype, addr->h->h_addr_list[0], text, sizeof text);
    dpl_addrlist_unlock(ctx->addrlist);
    return strcmp(text, address) == 0;
}

static void name_that_leads_elsewhere_is_followed(void) {
    enum { IDLE = 3 };
    struct server *before, *after;
    dpl_conn_t *conns[IDLE + 2];
    dpl_ctx_t *ctx;
    int good = 0, is_new;

    if (!own_names("127.0.0.1 a.test\n"))
        return;
    before = server_named(1);
    after = server_at("127.0.0.2", before, 2);
    ctx = context_over_name("a.test", before, "");
    REQUIRE(leave_idle(ctx, IDLE), "connections by name are idle");
    CHECK(list_shows(ctx, "127.0.0.1"), "the host list shows its address");
    names_become("127.0.0.2 a.test\n");
    let_look_ups_expire();
    CHECK_INT(ask(ctx, 1).server, 1, "nobody looks a name up to reuse a connection");
    /* Two are in use and one is idle when one more is needed. */
    for (int i = 0; i < IDLE; i++)
        conns[i] = checkout(ctx);
    dpl_conn_release(conns[2]);
    conns[2] = dpl_conn_open_host(ctx, AF_UNSPEC, "a.test", server_port(before));
    REQUIRE(conns[0] && conns[1] && conns[2], "connections are in use");
    conns[3] = checkout(ctx);
    REQUIRE(conns[3], "one more is made, and the name looked up meanwhile");
    is_new = ask_on(conns[3], 0).server == 2; /* if the look-up was the quicker one */
    CHECK(EVENTUALLY(list_shows(ctx, "127.0.0.2")), "the host list shows the new address");
    conns[4] = checkout(ctx);
    REQUIRE(conns[4], "another is made");
    CHECK_INT(ask_on(conns[4], 2).server, 2, "to where the name leads now");
    CHECK_INT(ask_on(conns[0], 3).server, 1, "those in use lead where they did");
    for (int i = 0; i < IDLE + 2; i++)
        dpl_conn_release(conns[i]);
    CHECK(EVENTUALLY(server_open(before) == 0), "given back, they are closed");
    for (int i = 0; i < 10; i++)
        good += ask(ctx, i).server == 2;
    CHECK_INT(good, 10, "all requests go to the new address");
    CHECK_INT(ctx->n_conn_fds, 1 + is_new, "over the connections that lead there");
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(after);
}

/* Given back while the name is looked up, it becomes idle; what that finds ends it. */
static void idle_connections_do_not_outlive_their_address(void) {
    struct server *before, *after;
    dpl_conn_t *conns[3], *found;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n"))
        return;
    before = server_named(1);
    after = server_at("127.0.0.2", before, 2);
    ctx = context_over_name("a.test", before, "");
    for (int i = 0; i < 3; i++)
        REQUIRE((conns[i] = checkout(ctx)) && answered_on(conns[i], i), "a connection is in use");
    names_become("127.0.0.2 a.test\n");
    let_look_ups_expire();
    look_up_ms = 400;
    found = checkout(ctx);
    REQUIRE(found, "a new connection is made");
    CHECK_INT(ask_on(found, 1).server, 1, "to the address that is known");
    dpl_conn_release(conns[0]);
    dpl_conn_release(conns[1]);
    CHECK_INT(server_open(before), 4, "two of four connections become idle during the look-up");
    CHECK(EVENTUALLY(list_shows(ctx, "127.0.0.2")), "the look-up ends");
    sleep_ms(1100);
    dpl_conn_release(conns[2]);
    CHECK(EVENTUALLY(server_open(before) == 1), "the next call closes those to where the name led");
    CHECK_INT(ask(ctx, 2).server, 2, "a request goes to where it leads now");
    dpl_conn_release(found);
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(after);
}

static dpl_status_t ask_bucket(dpl_ctx_t *ctx, const char *bucket) {
    dpl_conn_t *conn = NULL;
    dpl_status_t status = try_connect_to(ctx, bucket, &conn);

    if (conn && !answered_on(conn, 1))
        status = DPL_FAILURE;
    if (conn)
        dpl_conn_release(conn);
    return status;
}

static void name_that_comes_to_be_is_found(void) {
    struct server *server;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    logs_collect();
    CHECK_STATUS(ask_bucket(ctx, "b"), DPL_FAILURE, "there is no b.a.test");
    CHECK_INT(logs_with("no address for b.a.test"), 1, "which the log says");
    CHECK_INT(hosts_available(ctx), 1, "and its host is not blamed for");
    names_become("127.0.0.1 a.test b.a.test\n");
    let_look_ups_expire();
    CHECK_STATUS(ask_bucket(ctx, "b"), DPL_SUCCESS, "now there is");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void virtual_name_that_moves_alone_is_not_the_hosts_fault(void) {
    struct server *server;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test b.a.test\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    CHECK_STATUS(ask_bucket(ctx, "b"), DPL_SUCCESS, "a virtual host answers");
    server_close_connections(server);
    sleep_ms(50);
    names_become("127.0.0.1 a.test\n127.0.0.2 b.a.test\n");
    let_look_ups_expire();
    CHECK(EVENTUALLY(ask_bucket(ctx, "b") == DPL_FAILURE), "it has moved to a dead address alone");
    CHECK_INT(hosts_available(ctx), 1, "its host is not blacklisted");
    CHECK(answered(ctx, 2), "and answers");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- the final dot ----------------------------------------------------------------- */

/* Only the name with its dot is known: without it the look-up fails. */
static void final_dot_is_for_the_look_up_alone(void) {
    struct server *server;
    dpl_conn_t *conn = NULL;
    dpl_req_t *req;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test. b.a.test.\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test.", server, "");
    req = request_new(ctx);
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "it is connected to");
    CHECK_STR(req->host, "a.test", "the request has the name without its dot");
    CHECK(answered_on(conn, 1), "the host answers");
    dpl_conn_release(conn);
    dpl_req_free(req);
    CHECK_STATUS(ask_bucket(ctx, "b"), DPL_SUCCESS, "a virtual host too");
    dpl_blacklist_host(ctx, "A.test", server_port(server));
    CHECK_INT(hosts_available(ctx), 0, "the host is known without its dot");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- how often --------------------------------------------------------------------- */

static dpl_conn_t *open_b(dpl_ctx_t *ctx, const struct server *server) {
    return dpl_conn_open_host(ctx, AF_UNSPEC, "b.a.test", server_port(server));
}

static dpl_conn_t *open_bucket(dpl_ctx_t *ctx, const struct server *server) {
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_conn_t *conn = NULL;

    (void)server;
    dpl_req_set_bucket(req, "b");
    dpl_try_connect(ctx, req, &conn);
    dpl_req_free(req);
    return conn;
}

/* A new connection a second, and none in between. */
static void check_looked_up_once(dpl_conn_t *(*open)(dpl_ctx_t *, const struct server *)) {
    struct server *server;
    dpl_ctx_t *ctx;
    int before;

    if (!own_names("127.0.0.1 a.test b.a.test\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    before = look_ups;
    for (int i = 0; i < 4; i++) {
        dpl_conn_t *conn;

        if (i > 0)
            sleep_ms(1200);
        conn = open(ctx, server);
        REQUIRE(conn, "connection %d is made", i);
        dpl_conn_terminate(conn);
    }
    /* On a machine that is slow to wake, 5 s may be over. */
    CHECK(look_ups - before <= 2, "it is not looked up for each");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void virtual_host_is_not_forgotten_between_requests(void) {
    check_looked_up_once(open_bucket);
}

static void opened_host_is_not_forgotten_between_requests(void) {
    check_looked_up_once(open_b);
}

/* ---- threads ------------------------------------------------------------------------- */

static void check_thread_of_look_up(const char *setting, bool is_callers) {
    struct server *server;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n"))
        return;
    setenv("DPLX_LOOK_UP", setting, 1);
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    CHECK(answered(ctx, 1), "a host by name answers");
    CHECK_INT(look_ups, 1, "its name was looked up");
    CHECK_INT(looked_up_by == gettid(), is_callers, "in the thread that the environment asks for");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void look_up_has_a_thread_of_its_own(void) {
    check_thread_of_look_up("", false);
}

static void look_up_is_made_by_the_caller_if_wanted(void) {
    check_thread_of_look_up("caller", true);
}

int main(void) {
    test_begin("lookups");
    RUN(name_that_is_gone_keeps_its_address);
    RUN(name_that_leads_elsewhere_is_followed);
    RUN(idle_connections_do_not_outlive_their_address);
    RUN(name_that_comes_to_be_is_found);
    RUN(virtual_name_that_moves_alone_is_not_the_hosts_fault);
    RUN(final_dot_is_for_the_look_up_alone);
    RUN(virtual_host_is_not_forgotten_between_requests);
    RUN(opened_host_is_not_forgotten_between_requests);
    RUN(look_up_has_a_thread_of_its_own);
    RUN(look_up_is_made_by_the_caller_if_wanted);
    return test_end();
}
