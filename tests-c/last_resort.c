/* No host is available: those that answer are used all the same, and those that failed are probed early. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"
#include "support/sockets.h"

enum { THREADS = 8 };

static struct {
    dpl_ctx_t *ctx;
    int requests, pause_ms;
    atomic_bool finished;
    atomic_long good, bad;
    _Atomic double last_bad;
} load;

static void *ask_many(void *unused) {
    for (int i = 0; !load.finished && (load.requests == 0 || i < load.requests); i++) {
        if (answered(load.ctx, i)) {
            load.good++;
        } else {
            load.bad++;
            load.last_bad = seconds_now();
        }
        sleep_ms(load.pause_ms);
    }
    return unused;
}

static void begin_load(dpl_ctx_t *ctx, pthread_t threads[THREADS], int requests, int pause_ms) {
    load.ctx = ctx;
    load.requests = requests;
    load.pause_ms = pause_ms;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask_many, NULL);
}

static void end_load(pthread_t threads[THREADS], bool at_once) {
    load.finished = at_once;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Asks until the server's host is blacklisted. */
static void blacklist_by_failure(dpl_ctx_t *ctx, struct server *server) {
    while (blacklisted_until(ctx, server) == 0)
        ask(ctx, 1);
}

/* ---- a host that answers ----------------------------------------------------------- */

static void replies_of_503_cost_only_themselves(void) {
    struct server *server = server_start((struct server_options){.id = 1, .busy_every = 500});
    dpl_ctx_t *ctx = context_over_server(server, "");
    pthread_t threads[THREADS];

    ctx->n_conn_max_hits = -1;
    begin_load(ctx, threads, 500, 0);
    end_load(threads, false);
    CHECK_INT(load.bad, 8, "of 4000 requests the 8 fail that are answered by 503");
    CHECK(blacklisted_until(ctx, server) != 0, "although the only host is blacklisted");
    CHECK_INT(hosts_available(ctx), 0, "and C sees no available one");
    CHECK(server_accepted(server) <= THREADS + 8, "idle connections are used");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void broken_reply_costs_only_itself(void) {
    static const enum behaviour broken[] = {HANG_UP, ANSWER_HALF};

    for (int i = 0; i < 2; i++) {
        struct server *server = server_start((struct server_options){.behaviour = broken[i]});
        dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = 1000");

        CHECK(!answered(ctx, 1), "a reply breaks off");
        CHECK(blacklisted_until(ctx, server) != 0, "the only host is blacklisted");
        server_behave(server, ANSWER);
        for (int n = 0; n < 20; n++)
            REQUIRE(answered(ctx, n), "the next requests are answered");
        CHECK_INT(server_accepted(server), 2, "by one connection");
        dpl_ctx_free(ctx);
        server_stop(server);
    }
}

static void hosts_out_for_a_reply_take_turns(void) {
    struct server *servers[3];
    int served[4] = {0};
    dpl_ctx_t *ctx;

    for (int i = 0; i < 3; i++)
        servers[i] = server_start((struct server_options){.id = i + 1, .behaviour = ANSWER_500});
    ctx = context_over_servers(servers, 3, "blacklist_expiretime = 1000");
    for (int i = 0; i < 3; i++)
        blacklist_by_failure(ctx, servers[i]);
    for (int i = 0; i < 3; i++)
        server_behave(servers[i], ANSWER);
    for (int n = 0; n < 30; n++)
        served[ask(ctx, n).server]++;
    CHECK(served[1] == 10 && served[2] == 10 && served[3] == 10, "each serves its turn");
    dpl_addrlist_unblacklist(ctx->addrlist, "127.0.0.1", server_port(servers[1]));
    for (int n = 0; n < 10; n++)
        REQUIRE(ask(ctx, n).server == 2, "an available host comes before them");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

/* Of two proxies one restarts, and answers 503 meanwhile; the other is dead. */
static void host_that_answers_serves_beside_a_dead_one(void) {
    struct server *busy = server_start((struct server_options){.id = 1, .behaviour = ANSWER_500});
    struct server *dead = server_answering(2);
    struct server *servers[2] = {busy, dead};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "blacklist_expiretime = 1000");
    double begin;

    sockets_watch(dead);
    blacklist_by_failure(ctx, busy);
    server_kill(dead);
    blacklist_by_failure(ctx, dead);
    server_behave(busy, ANSWER);
    for (int n = 0; n < 50; n++)
        REQUIRE(answered(ctx, n), "each request is answered by the host that answers");
    server_go_deaf(dead);
    sleep_ms(500);
    begin = seconds_now();
    for (int n = 0; n < 50; n++)
        REQUIRE(answered(ctx, n), "also while the other swallows what it is sent");
    CHECK(in_time(begin, 0.2), "and no request waits for its early probe");
    server_restart(dead);
    CHECK(EVENTUALLY(answered(ctx, 1) && blacklisted_until(ctx, dead) == 0), "which finds it when it is back");
    dpl_ctx_free(ctx);
    server_stop(busy);
    server_stop(dead);
}

static void host_that_the_program_took_out_stays_out(void) {
    static const char *const expiry[] = {"blacklist_expiretime = 1000", "blacklist_expiretime = -1"};

    for (int i = 0; i < 2; i++) {
        struct server *server = server_answering(1);
        dpl_ctx_t *ctx = context_over_server(server, expiry[i]);

        sockets_watch(server);
        REQUIRE(leave_idle(ctx, 1), "a connection is idle");
        dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(server), i ? -1 : 1000);
        for (int n = 0; n < 10; n++) {
            REQUIRE(checkout(ctx) == NULL, "no checkout succeeds");
            sleep_ms(20);
        }
        CHECK_INT(connects_to(server), 1, "or connects");
        dpl_addrlist_unblacklist(ctx->addrlist, "127.0.0.1", server_port(server));
        CHECK(answered(ctx, 1), "until the program takes it back");
        dpl_ctx_free(ctx);
        server_stop(server);
    }
}

/* ---- a host that failed ------------------------------------------------------------ */

static void restarted_server_serves_at_once(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = 1000");
    pthread_t threads[THREADS];
    double back;

    begin_load(ctx, threads, 0, 3);
    REQUIRE(EVENTUALLY(load.good > 100), "requests are answered");
    server_kill(server);
    sleep_ms(300);
    back = seconds_now();
    server_restart(server);
    REQUIRE(EVENTUALLY(blacklisted_until(ctx, server) == 0), "a success is there for everybody");
    load.good = 0;
    REQUIRE(EVENTUALLY(load.good > 100), "requests are answered again");
    end_load(threads, true);
    fprintf(stderr, "# restarted: %ld failed, the last one %.0f ms after the server was back\n", load.bad,
            1000 * (load.last_bad - back));
    CHECK(machine_is_slow() || load.last_bad < back + 2, "none fails later than shortly after the restart");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Early probes: 50, 150, 350, 750, 1550, 3150 ms after the failure, and the ordinary ones each 10 s. */
static void dead_host_is_probed_seldom(void) {
    int seconds = soak_wanted() ? 59 : 3, probes = soak_wanted() ? 11 : 0;
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    pthread_t threads[THREADS];
    double killed;
    int connects;

    sockets_watch(server);
    begin_load(ctx, threads, 0, 1);
    REQUIRE(EVENTUALLY(load.good > 100), "requests are answered");
    killed = seconds_now();
    server_kill(server);
    REQUIRE(EVENTUALLY(blacklisted_until(ctx, server) != 0), "the server is dead");
    connects = connects_to(server);
    sleep_ms(1000 * seconds);
    connects = connects_to(server) - connects;
    /* On a busy machine more time has passed than was meant to. */
    for (double at = 0.05; !soak_wanted() && at <= seconds_now() - killed; at = 2 * at + 0.05)
        probes++;
    /* There, threads that were about to connect before the first failure do so late. */
    probes += machine_is_slow() ? THREADS : 0;
    fprintf(stderr, "# dead for %d s: %d connects, %ld calls\n", seconds, connects, load.bad);
    CHECK(connects <= probes, "it is probed seldom by all threads together");
    CHECK(connects >= 3, "but it is probed");
    end_load(threads, true);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void *checkout_once(void *waits) {
    dpl_conn_t *conn;

    ((atomic_int *)waits)[0]++;
    conn = checkout(load.ctx);
    if (conn)
        dpl_conn_release(conn);
    return conn;
}

static void calls_wait_for_the_probe(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = 1000\nconnection_timeout = 30");
    pthread_t threads[THREADS];
    atomic_int begun = 0;
    void *conn;
    int before;

    sockets_watch(server);
    server_kill(server);
    REQUIRE(checkout(ctx) == NULL, "the only host refuses");
    server_go_deaf(server);
    before = connects_to(server);
    sleep_ms(100);
    load.ctx = ctx;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, checkout_once, &begun);
    REQUIRE(EVENTUALLY(begun == THREADS && connects_to(server) > before), "threads ask while it gives no answer");
    sleep_ms(200);
    CHECK_INT(connects_to(server) - before, 1, "one of them probes it");
    server_restart(server);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &conn);
        CHECK(conn != NULL, "and all get a connection when it answers");
    }
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void wait_for_a_probe_is_bounded(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = 1000\nconnection_timeout = 30");
    pthread_t thread;
    atomic_int begun = 0;
    double begin;
    void *conn;

    server_kill(server);
    REQUIRE(checkout(ctx) == NULL, "the only host refuses");
    server_go_deaf(server);
    sleep_ms(100);
    load.ctx = ctx;
    sockets_watch(server);
    pthread_create(&thread, NULL, checkout_once, &begun);
    REQUIRE(EVENTUALLY(connects_to(server) == 1), "a call probes it");
    ctx->conn_timeout = 1;
    begin = seconds_now();
    CHECK(checkout(ctx) == NULL, "another call gives up at its own connect timeout");
    CHECK(in_time(begin, 10), "which is shorter");
    CHECK(seconds_now() - begin > 0.9, "and not before");
    /* The kernel sends a SYN again after 1 s. While the server starts, it would be refused. */
    sleep_ms(300);
    server_restart(server);
    pthread_join(thread, &conn);
    CHECK(conn != NULL, "the probe goes on");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- the reason -------------------------------------------------------------------- */

static void reason_is_told_to_each_call_and_logged_once(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    char expected[128];
    int told = 0;

    snprintf(expected, sizeof expected, "no host is left: %s is out for ", server_name(server));
    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(server), 1000);
    logs_collect();
    for (int i = 0; i < 500; i++) {
        REQUIRE(checkout(ctx) == NULL, "no host is left");
        told += strstr(dplx_last_error(), expected) == dplx_last_error() && strstr(dplx_last_error(), " s (ordered)");
    }
    CHECK_INT(told, 500, "each call is told why");
    CHECK_INT(logs_with("no host is left"), 1, "the log is told once");
    CHECK_INT(logs_count(), 1, "and nothing else");
    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(server), -1);
    REQUIRE(checkout(ctx) == NULL, "no host is left");
    CHECK(strstr(dplx_last_error(), "is out for good (ordered)") != NULL, "the reason has changed");
    CHECK_INT(logs_with("no host is left"), 2, "and is logged again");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void reason_names_the_hosts_that_were_not_tried(void) {
    struct server *servers[2] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");

    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(servers[0]), -1);
    server_kill(servers[1]);
    REQUIRE(checkout(ctx) == NULL, "one host is out, the other refuses");
    CHECK(strstr(dplx_last_error(), "Connection refused; no host is left: ") != NULL, "the text has both reasons");
    CHECK(strstr(dplx_last_error(), "is out for good (ordered)") != NULL, "and the state of the one that is out");
    CHECK(strstr(dplx_last_error(), "(refused)") == NULL, "but not of the other");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

int main(void) {
    test_begin("last_resort");
    RUN(replies_of_503_cost_only_themselves);
    RUN(broken_reply_costs_only_itself);
    RUN(hosts_out_for_a_reply_take_turns);
    RUN(host_that_answers_serves_beside_a_dead_one);
    RUN(host_that_the_program_took_out_stays_out);
    RUN(restarted_server_serves_at_once);
    RUN(dead_host_is_probed_seldom);
    RUN(calls_wait_for_the_probe);
    RUN(wait_for_a_probe_is_bounded);
    RUN(reason_is_told_to_each_call_and_logged_once);
    RUN(reason_names_the_hosts_that_were_not_tried);
    return test_end();
}
