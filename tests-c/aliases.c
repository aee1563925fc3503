/* Hosts with several names and addresses, and hosts that are unknown when the profile is read. */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/lookups.h"
#include "support/namespace.h"

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
    CHECK_INT(server_open(server), 3, "and none of those was closed");
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

int main(void) {
    test_begin("aliases");
    RUN(order_of_addresses_means_nothing);
    RUN(any_name_and_address_lead_to_their_host);
    RUN(unknown_host_does_not_keep_the_others_out);
    RUN(none_but_unknown_hosts_make_no_context);
    return test_end();
}
