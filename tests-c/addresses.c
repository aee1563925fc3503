/* Names with many addresses: some refuse, some never answer, some are of a family that is switched
 * off. */
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/lookups.h"
#include "support/namespace.h"
#include "support/sockets.h"

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
    CHECK(answered(ctx, 1), "one of 64 addresses answers: a request is answered");
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

/* Five head starts of 250 ms are longer than the time of a connect. */
static void last_of_many_addresses_is_tried_in_time(void) {
    enum { MANY = 6 };
    struct server *servers[MANY] = {NULL};
    char hosts[MANY * 32] = "", more[40];
    dpl_ctx_t *ctx;

    for (int i = 1; i <= MANY; i++)
        sprintf(hosts + strlen(hosts), "127.0.2.%d a.test\n", i);
    if (!own_names(hosts))
        return;
    for (int i = 0; i < MANY; i++) {
        char address[20];

        snprintf(address, sizeof address, "127.0.2.%d", i + 1);
        servers[i] = server_start((struct server_options){.address = address,
                                                          .port = i ? atoi(server_port(servers[0])) : 0,
                                                          .refuse = i < MANY - 1,
                                                          .tls_names = "DNS:a.test"});
        if (i < MANY - 1)
            server_go_deaf(servers[i]);
    }
    snprintf(more, sizeof more, "connection_timeout = %d", (int)patience(1));
    ctx = context_over_name("a.test", servers[0], more);
    CHECK(answered(ctx, 1), "the last of six addresses serves before the connect's time is over");
    dpl_ctx_free(ctx);
    for (int i = 0; i < MANY; i++)
        server_stop(servers[i]);
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
    /* A slow handshake gives way too, and is begun again. */
    CHECK(machine_is_slow() ? connects_to(live) >= 2 : connects_to(live) == 2, "both were tried");
    CHECK_INT(most_sockets(), 1, "one after the other, with one connection allowed");
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(live);
    server_stop(deaf);
}

/* ---- two families ------------------------------------------------------------------ */

/* One address is deaf and keeps the only permit, so that the other has no time. */
static void limit_is_no_fault_of_a_host(void) {
    struct server *deaf;
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n127.0.0.3 a.test\n"))
        return;
    deaf = server_named(1); /* nobody listens at 127.0.0.3 */
    server_go_deaf(deaf);
    ctx = context_over_name("a.test", deaf, "connection_timeout = 1");
    ctx->n_conn_max = 1;
    CHECK(checkout(ctx) == NULL, "no connection is made");
    CHECK_INT(hosts_available(ctx), 1, "nobody knows whether the host is at fault");
    dpl_ctx_free(ctx);
    server_stop(deaf);
}

/* Two names, of whose four addresses the last one works. */
static void good_address_of_two_names_is_found_at_the_limit(void) {
    struct server *live, *deaf[3];
    char hosts[40], more[40];
    dpl_ctx_t *ctx;

    if (!own_names("127.0.0.1 a.test\n127.0.0.2 a.test\n127.0.0.3 b.a.test\n127.0.0.4 b.a.test\n"))
        return;
    deaf[0] = server_named(1);
    deaf[1] = server_at("127.0.0.2", deaf[0], 2);
    deaf[2] = server_at("127.0.0.3", deaf[0], 3);
    live = server_at("127.0.0.4", deaf[0], 4);
    for (int i = 0; i < 3; i++)
        server_go_deaf(deaf[i]);
    snprintf(hosts, sizeof hosts, "a.test:%s, b.a.test", server_port(live));
    snprintf(more, sizeof more, "connection_timeout = %d", (int)patience(20));
    ctx = context_over_name(hosts, live, more);
    ctx->n_conn_max = 1;
    CHECK(answered(ctx, 4), "the last address has its time");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(deaf[i]);
    server_stop(live);
}

static void check_answers_over_ipv4(const struct server *server, const char *more) {
    dpl_ctx_t *ctx = context_over_name("a.test", server, more);
    double begin = seconds_now();

    CHECK(answered(ctx, 1), "a request is answered, over IPv4");
    CHECK(in_time(begin, 2), "and soon");
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
    CHECK(in_time(begin, 4), "long before the handshake with the other times out");
    CHECK_INT(server_accepted(silent), 1, "which was tried first");
    CHECK_INT(hosts_available(ctx), 1, "the host is not out");
    dpl_ctx_free(ctx);
    server_stop(silent);
    server_stop(live);
}

/* The address that succeeded is tried first, until the name is looked up again. */
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
    test_begin("addresses");
    RUN(all_of_many_addresses_are_tried);
    RUN(last_of_many_addresses_is_tried_in_time);
    RUN(slow_address_gives_way_at_the_limit);
    RUN(limit_is_no_fault_of_a_host);
    RUN(good_address_of_two_names_is_found_at_the_limit);
    RUN(refusing_ipv6_is_passed_over);
    RUN(silent_ipv6_is_raced);
    RUN(silent_handshake_is_raced);
    RUN(switched_off_ipv6_is_passed_over);
    return test_end();
}
