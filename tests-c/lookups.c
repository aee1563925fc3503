/* Names that lead elsewhere, nowhere, or to many addresses, in a hosts file of the test's own. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/namespace.h"
#include "support/sockets.h"

/* How long a look-up takes. */
static atomic_int look_up_ms;

/* How many there were of names, not of addresses. */
static atomic_int look_ups;

/* The resolver sorts what it finds in a file; a name server's answers come in any order. */
static atomic_bool backwards;

static struct addrinfo *reversed(struct addrinfo *list) {
    struct addrinfo *turned = NULL;

    while (list) {
        struct addrinfo *next = list->ai_next;

        list->ai_next = turned;
        turned = list;
        list = next;
    }
    return turned;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int outcome;

    sleep_ms(look_up_ms);
    look_ups += !(hints && hints->ai_flags & AI_NUMERICHOST);
    outcome = ((look_up *)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
    if (outcome == 0 && backwards)
        *found = reversed(*found);
    return outcome;
}

/* A name is looked up at most once in 5 s. */
static void let_look_ups_expire(void) {
    sleep_ms(5200);
}

static struct server *server_at(const char *address, const struct server *same_port, int id) {
    return server_start((struct server_options){.address = address,
                                                .port = atoi(server_port(same_port)),
                                                .id = id,
                                                .tls_names = "DNS:a.test"});
}

static struct server *server_named(int id) {
    return server_start((struct server_options){.id = id, .tls_names = "DNS:a.test,DNS:b.a.test"});
}

static dpl_ctx_t *context_over_name(const char *name, const struct server *server,
                                    const char *more) {
    char host[64];
    dpl_ctx_t *ctx;

    snprintf(host, sizeof host, "%s:%s", name, server_port(server));
    ctx = context_over(host, more);
    REQUIRE(ctx, "a context over %s is made", name);
    return ctx;
}

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
    sleep_ms(50);
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
    dpl_conn_t *conns[IDLE + 1];
    dpl_ctx_t *ctx;
    int good = 0;

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
    REQUIRE(conns[3], "one more is made");
    CHECK_INT(ask_on(conns[3], 2).server, 2, "to where the name leads now");
    CHECK_INT(ask_on(conns[0], 3).server, 1, "those in use lead where they did");
    CHECK(list_shows(ctx, "127.0.0.2"), "the host list shows the new address");
    for (int i = 0; i <= IDLE; i++)
        dpl_conn_release(conns[i]);
    CHECK(EVENTUALLY(server_open(before) == 0), "given back, they are closed");
    for (int i = 0; i < 10; i++)
        good += ask(ctx, i).server == 2;
    CHECK_INT(good, 10, "all requests go to the new address");
    CHECK_INT(ctx->n_conn_fds, 1, "over one connection");
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(after);
}

static void *check_out(void *ctx) {
    return checkout(ctx);
}

/* Given back while another thread looks the name up, it becomes idle; what that finds ends it. */
static void idle_connections_do_not_outlive_their_address(void) {
    struct server *before, *after;
    dpl_conn_t *conns[3];
    pthread_t other;
    dpl_ctx_t *ctx;
    void *found;

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
    pthread_create(&other, NULL, check_out, ctx);
    sleep_ms(150);
    dpl_conn_release(conns[0]);
    dpl_conn_release(conns[1]);
    CHECK_INT(server_open(before), 3, "two of three connections become idle during a look-up");
    pthread_join(other, &found);
    REQUIRE(found, "a new connection is made");
    CHECK_INT(ask_on(found, 1).server, 2, "to where the name leads now");
    CHECK(EVENTUALLY(server_open(before) == 1), "and the idle ones to where it led are closed");
    dpl_conn_release(conns[2]);
    dpl_conn_release(found);
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(after);
}

static dpl_status_t ask_bucket(dpl_ctx_t *ctx, const char *bucket) {
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_conn_t *conn = NULL;
    dpl_status_t status;

    dpl_req_set_bucket(req, bucket);
    status = dpl_try_connect(ctx, req, &conn);
    if (conn && !answered_on(conn, 1))
        status = DPL_FAILURE;
    if (conn)
        dpl_conn_release(conn);
    dpl_req_free(req);
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

/* ---- the same host ----------------------------------------------------------------- */

static dpl_addr_t *listed(dpl_ctx_t *ctx, const char *host, const struct server *server) {
    dpl_addr_t *addr;

    dpl_addrlist_lock(ctx->addrlist);
    addr = dpl_addrlist_get_byname_nolock(ctx->addrlist, host, server_port(server));
    dpl_addrlist_unlock(ctx->addrlist);
    return addr;
}

static dpl_status_t add(dpl_ctx_t *ctx, const char *host, const struct server *server) {
    return dpl_addrlist_add(ctx->addrlist, host, server_port(server));
}

/* As from a name server that answers in turns. */
static void order_of_addresses_means_nothing(void) {
    struct server *server;
    dpl_conn_t *conns[3];
    char text[64];
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test b.test\n127.0.0.2 a.test b.test\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    REQUIRE(leave_idle(ctx, 2), "connections by name are idle");
    backwards = true;
    let_look_ups_expire();
    CHECK_STATUS(add(ctx, "a.test", server), DPL_SUCCESS, "the name is added again");
    CHECK_STATUS(add(ctx, "b.test", server), DPL_SUCCESS, "another name for the same addresses");
    CHECK_INT(dpl_addrlist_count(ctx->addrlist), 1, "it is one host");
    snprintf(text, sizeof text, "A.test:%s", server_port(server));
    CHECK_STATUS(dpl_addrlist_set_from_str(ctx->addrlist, text), DPL_SUCCESS, "and set again");
    /* One more than there are takes a look-up. */
    for (int i = 0; i < 3; i++)
        REQUIRE((conns[i] = checkout(ctx)), "connection %d", i);
    CHECK(EVENTUALLY(server_accepted(server) >= 3), "one new one is made");
    for (int i = 0; i < 3; i++)
        dpl_conn_release(conns[i]);
    sleep_ms(50);
    CHECK_INT(server_accepted(server), 3, "beside those that were idle");
    CHECK_INT(server_open(server), 3, "none of which was closed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void any_name_and_address_lead_to_their_host(void) {
    struct server *server;
    dpl_addr_t *first, *other;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n127.0.0.2 a.test b.test\n127.0.0.3 b.test\n"
                   "127.0.0.2 c.test\n127.0.0.9 d.test\n"))
        return;
    server = server_named(1);
    ctx = context_over_name("a.test", server, "");
    CHECK_STATUS(add(ctx, "b.test", server), DPL_SUCCESS, "a host with an address of its own");
    CHECK_INT(dpl_addrlist_count(ctx->addrlist), 2, "is another host");
    CHECK_STATUS(add(ctx, "127.0.0.2", server), DPL_SUCCESS, "an address that both have");
    CHECK_STATUS(add(ctx, "c.test", server), DPL_SUCCESS, "by name too");
    CHECK_INT(dpl_addrlist_count(ctx->addrlist), 2, "is there already");
    first = listed(ctx, "A.TEST.", server);
    other = listed(ctx, "b.test", server);
    CHECK(first && other && first != other, "both are found by name");
    CHECK(listed(ctx, "127.0.0.1", server) == first, "by an address");
    CHECK(listed(ctx, "127.0.0.3", server) == other, "by another than the first");
    CHECK(listed(ctx, "c.test", server) == other, "by a name that leads to one");
    CHECK(listed(ctx, "d.test", server) == NULL, "but not by one that leads elsewhere");
    CHECK(dpl_addrlist_get_byip_nolock(ctx->addrlist, first->h, first->port) == first &&
              dpl_addrlist_get_byip_nolock(ctx->addrlist, other->h, other->port) == other,
          "and by what C reads of them");
    dpl_blacklist_host(ctx, "127.0.0.3", server_port(server));
    CHECK(other->blacklist_expire_timestamp > 0 && first->blacklist_expire_timestamp == 0,
          "any of them puts the host out");
    CHECK_STATUS(dpl_addrlist_unblacklist(ctx->addrlist, "c.test", server_port(server)),
                 DPL_SUCCESS, "and lets it in again");
    CHECK_INT(hosts_available(ctx), 2, "both are available");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- names that are not known when the profile is read ----------------------------- */

static void unknown_host_does_not_keep_the_others_out(void) {
    struct server *good, *late;
    char hosts[64], *text;
    dpl_ctx_t *ctx;
    bool served = false;
    int answers = 0;

    if (!own_names("127.0.0.1 a.test\n"))
        return;
    good = server_named(1);
    late = server_at("127.0.0.2", good, 2);
    snprintf(hosts, sizeof hosts, "late.test:%s;127.0.0.1:%s", server_port(late),
             server_port(good));
    logs_collect();
    ctx = context_over(hosts, "blacklist_expiretime = 1\ncert_verif = false");
    REQUIRE(ctx, "a context over an unknown and a known host is made");
    CHECK_INT(logs_with("no address for late.test: "), 1, "the log says which is unknown");
    CHECK_INT(dpl_addrlist_count(ctx->addrlist), 2, "both are in the list");
    text = dpl_addrlist_get(ctx->addrlist);
    CHECK(text && strstr(text, "late.test:"), "and in its text");
    free(text);
    CHECK(listed(ctx, "late.test", late), "the unknown one is found by name");
    CHECK(listed(ctx, "late.test", late)->h->h_addr_list[0], "and C may look at its address");
    for (int i = 0; i < 10; i++)
        answers += ask(ctx, i).server == 1;
    CHECK_INT(answers, 10, "the other answers");
    names_become("127.0.0.2 late.test\n");
    let_look_ups_expire();
    for (int i = 0; i < 100 && !served; i++) {
        served = ask(ctx, i).server == 2;
        sleep_ms(20);
    }
    CHECK(served, "once its name is known the host is used");
    dpl_addrlist_lock(ctx->addrlist);
    CHECK(memcmp(listed(ctx, "late.test", late)->h->h_addr_list[0], "\x7f\0\0\2", 4) == 0,
          "and C sees its address");
    dpl_addrlist_unlock(ctx->addrlist);
    dpl_ctx_free(ctx);
    server_stop(good);
    server_stop(late);
}

static void none_but_unknown_hosts_make_no_context(void) {
    if (!own_names("127.0.0.1 a.test\n"))
        return;
    logs_collect();
    CHECK(context_over("x.test:81;y.test:81", "") == NULL, "a profile of unknown hosts is refused");
    CHECK_INT(logs_with("no address for x.test: "), 1, "the log says why");
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

/* ---- many addresses ---------------------------------------------------------------- */

static void all_of_many_addresses_are_tried(void) {
    enum { MANY = 64 };
    char hosts[MANY * 32] = "";
    struct server *server;
    dpl_ctx_t *ctx;
    int refused = 0;

    for (int i = 1; i <= MANY; i++)
        sprintf(hosts + strlen(hosts), "127.0.1.%d a.test\n", i);
    if (!own_names(hosts))
        return;
    server =
        server_start((struct server_options){.address = "127.0.1.64", .tls_names = "DNS:a.test"});
    ctx = context_over_name("a.test", server, "");
    logs_collect();
    CHECK(answered(ctx, 1), "64 addresses, of which one answers: a request is answered");
    CHECK_INT(hosts_available(ctx), 1, "the host is not out");
    server_kill(server);
    CHECK_STATUS(ask(ctx, 2).status, DPL_FAILURE, "when that is gone too, a request fails");
    for (int i = 1; i <= MANY; i++) {
        char line[64];

        snprintf(line, sizeof line, "connect to 127.0.1.%d:%s: Connection refused", i,
                 server_port(server));
        refused += logs_with(line);
    }
    CHECK_INT(refused, MANY, "the log has a line for each address");
    CHECK_INT(hosts_available(ctx), 0, "the host is out");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void slow_address_gives_way_at_the_limit(void) {
    struct server *live, *deaf;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n127.0.0.2 a.test\n"))
        return;
    deaf = server_named(1);
    live = server_at("127.0.0.2", deaf, 2);
    server_go_deaf(deaf);
    sockets_watch(live);
    ctx = context_over_name("a.test", live, "connection_timeout = 8");
    ctx->n_conn_max = 1;
    CHECK_INT(ask(ctx, 1).server, 2, "of two addresses the second answers");
    CHECK_INT(connects_to(live), 2, "both were tried");
    CHECK_INT(most_sockets(), 1, "one after the other, with one connection allowed");
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(live);
    server_stop(deaf);
}

/* ---- two families ------------------------------------------------------------------ */

static void check_answers_over_ipv4(const struct server *server, const char *more) {
    dpl_ctx_t *ctx = context_over_name("a.test", server, more);
    double begin = seconds_now();

    CHECK(answered(ctx, 1), "a request is answered, over IPv4");
    CHECK(seconds_now() - begin < patience(2), "and soon");
    CHECK_INT(hosts_available(ctx), 1, "the host is not out");
    dpl_ctx_free(ctx);
}

static void refusing_ipv6_is_passed_over(void) {
    struct server *server;

    if (!own_names("::1 a.test\n127.0.0.1 a.test\n"))
        return;
    server = server_named(1);
    check_answers_over_ipv4(server, "");
    server_stop(server);
}

static void silent_handshake_is_raced(void) {
    struct server *silent, *live;
    dpl_ctx_t *ctx;
    double begin = seconds_now();

    if (!tls_wanted()) {
        check_skip("only TLS shakes hands");
        return;
    }
    if (!own_names("127.0.0.1 a.test\n127.0.0.2 a.test\n"))
        return;
    silent = server_named(1);
    server_behave(silent, SILENT);
    live = server_at("127.0.0.2", silent, 2);
    ctx = context_over_name("a.test", silent, "connection_timeout = 8");
    CHECK_INT(ask(ctx, 1).server, 2, "the address that shakes hands answers");
    CHECK(seconds_now() - begin < patience(3),
          "long before the handshake with the other times out");
    CHECK_INT(server_accepted(silent), 1, "which was tried first");
    CHECK_INT(hosts_available(ctx), 1, "the host is not out");
    dpl_ctx_free(ctx);
    server_stop(silent);
    server_stop(live);
}

/* The address that came through is tried first, until the name is looked up again. */
static void check_next_ones_are_not_delayed(const struct server *server) {
    dpl_ctx_t *ctx = context_over_name("a.test", server, "connection_timeout = 8");
    int before = connects_to(server);

    for (int i = 0; i < 10; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(conn, "a connection is made");
        dpl_conn_terminate(conn);
    }
    CHECK(connects_to(server) - before <= 10 + 2, "of 10 connections not each tries both");
    dpl_ctx_free(ctx);
}

static void silent_ipv6_is_raced(void) {
    struct server *live, *deaf;

    if (!own_names("::1 a.test\n127.0.0.1 a.test\n"))
        return;
    if (!own_network())
        return;
    live = server_named(1);
    deaf = server_start(
        (struct server_options){.address = "::1", .port = atoi(server_port(live)), .refuse = true});
    server_go_deaf(deaf);
    sockets_watch(live); /* the same port */
    check_answers_over_ipv4(live, "connection_timeout = 8");
    CHECK_INT(connects_to(live), 2, "both addresses were tried");
    check_next_ones_are_not_delayed(live);
    server_stop(live);
    server_stop(deaf);
}

static void switched_off_ipv6_is_passed_over(void) {
    struct server *servers[2];
    char hosts[64];
    dpl_ctx_t *ctx;
    int good = 0;

    if (!own_names("::1 a.test\n127.0.0.1 a.test\n") || !own_network())
        return;
    set_of_network("ipv6/conf/all/disable_ipv6", "1");
    servers[0] = server_named(1);
    check_answers_over_ipv4(servers[0], "");
    server_kill(servers[0]);
    servers[1] = server_answering(2);
    snprintf(hosts, sizeof hosts, "a.test:%s;[::1]:%s;%s", server_port(servers[0]),
             server_port(servers[0]), server_name(servers[1]));
    ctx = context_over(hosts, "");
    for (int i = 0; i < 10; i++)
        good += ask(ctx, i).server == 2;
    CHECK_INT(good, 10, "without an address that answers, the next host serves");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

int main(void) {
    test_begin("lookups");
    RUN(name_that_is_gone_keeps_its_address);
    RUN(name_that_leads_elsewhere_is_followed);
    RUN(idle_connections_do_not_outlive_their_address);
    RUN(name_that_comes_to_be_is_found);
    RUN(order_of_addresses_means_nothing);
    RUN(any_name_and_address_lead_to_their_host);
    RUN(unknown_host_does_not_keep_the_others_out);
    RUN(none_but_unknown_hosts_make_no_context);
    RUN(final_dot_is_for_the_look_up_alone);
    RUN(virtual_host_is_not_forgotten_between_requests);
    RUN(opened_host_is_not_forgotten_between_requests);
    RUN(all_of_many_addresses_are_tried);
    RUN(slow_address_gives_way_at_the_limit);
    RUN(refusing_ipv6_is_passed_over);
    RUN(silent_ipv6_is_raced);
    RUN(silent_handshake_is_raced);
    RUN(switched_off_ipv6_is_passed_over);
    return test_end();
}
