/* Name servers that do not answer: no call waits for them past its timeout, nor at all if an address is known. */
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/name_server.h"

/* How many of so many requests are answered, each on a new connection. */
static int count_answered_anew(dpl_ctx_t *ctx, int calls) {
    int good = 0;

    for (int i = 0; i < calls; i++) {
        dpl_conn_t *conn = checkout(ctx);

        good += conn && answered_on(conn, i);
        if (conn)
            dpl_conn_terminate(conn);
    }
    return good;
}

/* ---- no address is known ------------------------------------------------------------- */

static void call_ends_at_its_timeout(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "connection_timeout = 1");
    double begin;

    REQUIRE(ctx, "a context over a name is made");
    logs_collect();
    begin = seconds_now();
    CHECK_STATUS(ask_bucket(ctx, "dead"), DPL_FAILURE, "a virtual host has no name server");
    CHECK(in_time(begin, 4), "the call ends in time");
    CHECK_INT(under_way, 1, "while its look-up goes on");
    CHECK_INT(logs_with("no address for dead.a.test: name look-up timed out"), 1, "which is logged");
    CHECK_INT(hosts_available(ctx), 1, "the host is not to blame");
    begin = seconds_now();
    CHECK(dpl_conn_open_host(ctx, AF_UNSPEC, "dead.test", server_port(server)) == NULL,
          "a host by name has none either");
    CHECK(in_time(begin, 4), "the call ends in time");
    begin = seconds_now();
    dpl_blacklist_host(ctx, "dead.alias.test", server_port(server));
    CHECK(in_time(begin, 4), "a host is blacklisted by such a name in time");
    CHECK_INT(ctx->n_conn_fds, 0, "nothing is counted");
    silent = false;
    CHECK(EVENTUALLY(under_way == 0), "the name server answers");
    CHECK_STATUS(ask_bucket(ctx, "dead"), DPL_SUCCESS, "then the virtual host does");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void call_ends_in_time_with_several_dead_names(void) {
    enum { DEAD = 12 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "connection_timeout = 1");
    double begin;

    REQUIRE(ctx, "a context is made");
    for (int i = 0; i < DEAD; i++) {
        char name[32];

        snprintf(name, sizeof name, "dead%d.test", i);
        add_host(ctx, name, server);
    }
    server_kill(server);
    logs_collect();
    begin = seconds_now();
    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "a server is killed, and the names of twelve are dead");
    /* If each had its whole timeout after the head starts of those before, it would be 4 seconds. */
    CHECK(in_time(begin, 2.5), "the call ends in time");
    for (int i = 0; i < DEAD && hosts_available(ctx) > 0; i++)
        ask(ctx, i);
    CHECK_INT(hosts_available(ctx), 0, "after some calls all hosts are out");
    CHECK(logs_with("name look-up timed out") >= DEAD, "their names are the reason");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void good_host_serves_meanwhile(void) {
    enum { CALLS = 20 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "");
    double begin;

    REQUIRE(ctx, "a context is made");
    add_host(ctx, "dead.test", server);
    begin = seconds_now();
    CHECK_INT(count_answered_anew(ctx, CALLS), CALLS, "all calls are served by the other host");
    CHECK(in_time(begin, 3), "only one of them had to wait");
    CHECK_INT(under_way, 1, "there is one look-up");
    silent = false;
    CHECK(EVENTUALLY(under_way == 0), "the name server answers");
    CHECK(answered(ctx, 1) && answered(ctx, 2), "requests are served");
    CHECK_INT(hosts_available(ctx), 2, "by both hosts");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- an address is known ------------------------------------------------------------- */

static void known_address_is_used_at_once(void) {
    enum { CALLS = 100 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "");
    double begin;
    int before;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    let_look_ups_expire();
    all_silent = true;
    before = look_ups;
    begin = seconds_now();
    CHECK_INT(count_answered_anew(ctx, CALLS), CALLS, "connections are made while its name server is silent");
    CHECK(in_time(begin, 4), "without waiting for it");
    CHECK_INT(look_ups - before, 1, "it is asked once");
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void *check_out(void *ctx) {
    return checkout(ctx);
}

static void new_address_is_tried_before_anybody_is_blamed(void) {
    struct server *before = server_of_names(), *after;
    /* A tenth of that is the time for the name server. */
    dpl_ctx_t *ctx = context_named("a.test", before, "connection_timeout = 50");
    pthread_t thread;
    void *conn;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    after = server_start((struct server_options){
        .address = "127.0.0.2", .port = atoi(server_port(before)), .id = 2, .tls_names = "DNS:a.test"});
    server_kill(before);
    let_look_ups_expire();
    all_silent = true;
    leads_to = "127.0.0.2";
    logs_collect();
    pthread_create(&thread, NULL, check_out, ctx);
    CHECK(EVENTUALLY(under_way == 1), "its address refuses, and a look-up is under way");
    sleep_ms(300);
    CHECK_INT(hosts_available(ctx), 1, "the host is not blamed yet");
    all_silent = false;
    pthread_join(thread, &conn);
    REQUIRE(conn, "the call gets a connection");
    CHECK_INT(ask_on(conn, 1).server, 2, "to the new address");
    dpl_conn_release(conn);
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    CHECK_INT(logs_count(), 0, "and nothing is logged");
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(after);
}

static void dead_name_server_delays_a_refusal_by_a_tenth_of_the_timeout(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "connection_timeout = 20");
    double begin;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    server_kill(server);
    let_look_ups_expire();
    all_silent = true;
    begin = seconds_now();
    CHECK(checkout(ctx) == NULL, "its address refuses, and its name server is silent");
    CHECK(in_time(begin, 10), "the call does not wait for its whole timeout");
    CHECK(seconds_now() - begin > 1.9, "but gives the name server a tenth of it");
    CHECK_INT(hosts_available(ctx), 0, "then the host is blacklisted");
    all_silent = false;
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void new_address_is_tried_beside_silent_ones(void) {
    struct server *before = server_of_names(), *also, *after;
    dpl_ctx_t *ctx;
    pthread_t thread;
    double begin;
    void *conn;

    also = server_start((struct server_options){
        .address = "127.0.0.3", .port = atoi(server_port(before)), .tls_names = "DNS:a.test"});
    leads_also_to = "127.0.0.3";
    ctx = context_named("a.test", before, "connection_timeout = 20");
    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    after = server_start((struct server_options){
        .address = "127.0.0.2", .port = atoi(server_port(before)), .id = 2, .tls_names = "DNS:a.test"});
    server_close_connections(before);
    server_go_deaf(before);
    server_go_deaf(also);
    let_look_ups_expire();
    all_silent = true;
    leads_to = "127.0.0.2";
    leads_also_to = NULL;
    pthread_create(&thread, NULL, check_out, ctx);
    CHECK(EVENTUALLY(under_way == 1), "its addresses are silent, and a look-up is under way");
    sleep_ms(800);
    all_silent = false;
    begin = seconds_now();
    pthread_join(thread, &conn);
    REQUIRE(conn, "the call gets a connection");
    CHECK(in_time(begin, 5), "as soon as the name server answers");
    CHECK_INT(ask_on(conn, 1).server, 2, "to the new address");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(also);
    server_stop(after);
}

/* ---- many at once -------------------------------------------------------------------- */

static void *open_dead(void *ctx) {
    return dpl_conn_open_host(ctx, AF_UNSPEC, "dead.test", "80");
}

static void all_who_want_a_name_share_its_look_up(void) {
    enum { THREADS = 8 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx[2];
    pthread_t threads[THREADS];
    int before, opened = 0;

    for (int i = 0; i < 2; i++)
        REQUIRE((ctx[i] = context_named("127.0.0.1", server, "connection_timeout = 1")), "context %d", i);
    before = look_ups;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, open_dead, ctx[i % 2]);
    for (int i = 0; i < THREADS; i++) {
        void *conn;

        pthread_join(threads[i], &conn);
        opened += conn != NULL;
    }
    CHECK_INT(opened, 0, "threads of two contexts open a dead name");
    CHECK_INT(look_ups - before, 1, "it is looked up once");
    dpl_ctx_free(ctx[0]);
    dpl_ctx_free(ctx[1]);
    server_stop(server);
}

/* Sets a list of that many names. */
static dpl_status_t set_names(dpl_ctx_t *ctx, const char *prefix, int n) {
    static char names[16 * 1024];
    char *end = names;

    for (int i = 0; i < n; i++)
        end += sprintf(end, "%s%d.test:%d,", prefix, i, 1000 + i);
    return dpl_addrlist_set_from_str(ctx->addrlist, names);
}

static void names_of_a_profile_are_looked_up_side_by_side(void) {
    struct server *server = server_of_names();
    double begin = seconds_now();
    dpl_ctx_t *ctx;

    ctx = context_named("dead1.test dead2.test dead3.test 127.0.0.1", server, "connection_timeout = 5");
    REQUIRE(ctx, "a profile with three dead names and an address is loaded");
    CHECK(in_time(begin, 9), "within one timeout");
    begin = seconds_now();
    CHECK(dpl_addrlist_set_from_str(ctx->addrlist, "dead7.test,dead8.test,dead9.test") != DPL_SUCCESS,
          "a list of dead names is not set");
    CHECK(in_time(begin, 9), "within one timeout");
    CHECK(answered(ctx, 1), "the address answers");
    answer_ms = 2000;
    CHECK_STATUS(set_names(ctx, "slow", 3), DPL_SUCCESS, "a list of three slow names is set");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void threads_do_not_pile_up(void) {
    enum { NAMES = 200, MOST = 64 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "");
    int before = threads_now();

    REQUIRE(ctx, "a context is made");
    answer_ms = 20;
    CHECK_STATUS(set_names(ctx, "name", NAMES), DPL_SUCCESS, "a list of 200 names is set");
    CHECK_INT(dpl_addrlist_count_nolock(ctx->addrlist), NAMES, "all of them");
    CHECK(most_under_way > 1 && most_under_way <= MOST, "some are looked up at the same time");
    CHECK(set_names(ctx, "dead", NAMES) != DPL_SUCCESS, "a list of 200 dead names is not");
    CHECK(threads_now() - before <= MOST, "their look-ups have a limited number of threads");
    logs_collect();
    CHECK_STATUS(dpl_addrlist_add(ctx->addrlist, "deadlast.test", "80"), DPL_FAILURE, "one more waits");
    CHECK_INT(logs_with("too many look-ups of other names are under way"), 1, "which is logged");
    silent = false;
    CHECK(EVENTUALLY(threads_now() == before), "when the name server answers, all threads end");
    CHECK(dpl_addrlist_add(ctx->addrlist, "deadlast.test", "80") == DPL_SUCCESS, "names are found again");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("dead_names");
    RUN(call_ends_at_its_timeout);
    RUN(call_ends_in_time_with_several_dead_names);
    RUN(good_host_serves_meanwhile);
    RUN(known_address_is_used_at_once);
    RUN(new_address_is_tried_before_anybody_is_blamed);
    RUN(dead_name_server_delays_a_refusal_by_a_tenth_of_the_timeout);
    RUN(new_address_is_tried_beside_silent_ones);
    RUN(all_who_want_a_name_share_its_look_up);
    RUN(names_of_a_profile_are_looked_up_side_by_side);
    RUN(threads_do_not_pile_up);
    return test_end();
}
