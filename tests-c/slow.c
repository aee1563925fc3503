/* Hosts that take for ever: nobody waits for them longer than need be. */
#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"

enum { THREADS = 8, REQUESTS = 20 };

static struct server *deaf_server(void) {
    struct server *server = server_start((struct server_options){.refuse = true});

    server_go_deaf(server);
    return server;
}

struct worker {
    pthread_t thread;
    dpl_ctx_t *ctx;
    int good;
};

static void *ask_many_times(void *arg) {
    struct worker *worker = arg;

    worker->good = 0;
    for (int i = 0; i < REQUESTS; i++)
        worker->good += answered(worker->ctx, i);
    return NULL;
}

static int answered_by_threads(dpl_ctx_t *ctx) {
    struct worker workers[THREADS];
    int good = 0;

    for (int i = 0; i < THREADS; i++) {
        workers[i].ctx = ctx;
        pthread_create(&workers[i].thread, NULL, ask_many_times, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        good += workers[i].good;
    }
    return good;
}

/* The host that never answers costs what the next host's head start does, not its timeout. */
static void check_nobody_waits_for(struct server *slow) {
    struct server *servers[] = {slow, server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "connection_timeout = 10");
    double begin = seconds_now();

    CHECK_INT(answered_by_threads(ctx), THREADS * REQUESTS, "requests of all threads are answered");
    CHECK(in_time(begin, 4), "long before a connect times out");
    dpl_ctx_free(ctx);
    server_stop(servers[1]);
}

static void deaf_host_delays_nobody(void) {
    struct server *deaf = deaf_server();

    check_nobody_waits_for(deaf);
    server_stop(deaf);
}

static void silent_handshake_delays_nobody(void) {
    struct server *silent;

    if (!tls_wanted()) {
        check_skip("only TLS shakes hands");
        return;
    }
    silent = server_start((struct server_options){.behaviour = SILENT});
    check_nobody_waits_for(silent);
    server_stop(silent);
}

/* ---- many that never answer -------------------------------------------------------- */

enum { HOSTS = 7 };

/* All but the last one are deaf. */
static dpl_ctx_t *context_over_one_that_lives(struct server *servers[HOSTS], const char *more) {
    for (int i = 0; i < HOSTS - 1; i++)
        servers[i] = deaf_server();
    servers[HOSTS - 1] = server_answering(1);
    return context_over_servers(servers, HOSTS, more);
}

/* Six head starts of 250 ms are longer than the time of a call. */
static void one_of_many_hosts_is_found_in_time(void) {
    struct server *servers[HOSTS];
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
    char more[80];

    snprintf(more, sizeof more, "connection_timeout = %d\nblacklist_expiretime = 1", (int)patience(1));
    ctx = context_over_one_that_lives(servers, more);
    CHECK(answered(ctx, 1), "the last of seven hosts serves before the call's time is over");
    sleep_ms((int)(1000 * patience(1)) + 1500); /* their blacklisting is over */
    CHECK(answered(ctx, 2), "also when all others are to be probed");
    dpl_ctx_free(ctx);
    ctx = context_over_servers(servers, HOSTS, "connection_timeout = 50");
    conn = dplx_connect(ctx, (int)(1000 * patience(1)));
    CHECK(conn != NULL, "and within the time of dplx_connect()");
    if (conn)
        dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    for (int i = 0; i < HOSTS; i++)
        server_stop(servers[i]);
}

/* A program that calls rarely, with less time than a head start. */
static void short_calls_find_the_host_that_lives(void) {
    struct server *servers[] = {deaf_server(), server_answering(1)};
    int wait_ms = (int)(200 * patience(1)), good = 0;
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "connection_timeout = 1\nblacklist_expiretime = 1");

    for (int i = 0; i < 2; i++) {
        dpl_conn_t *conn = dplx_connect(ctx, wait_ms);

        good += conn != NULL;
        if (conn)
            dpl_conn_terminate(conn);
        if (i == 0)
            sleep_ms(2500);
    }
    CHECK_INT(good, 2, "each call finds it, though the other host is to be probed each time");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void *connect_in_vain(void *ctx) {
    dpl_conn_t *conn = checkout(ctx);

    if (conn)
        dpl_conn_terminate(conn);
    return conn;
}

static void release_waits_for_no_connect(void) {
    struct server *servers[] = {deaf_server(), server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "connection_timeout = 4");
    dpl_conn_t *conn;
    pthread_t connecting;
    double begin;

    conn = checkout(ctx); /* the deaf host loses the race */
    REQUIRE(conn, "the live host is connected to");
    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(servers[1]), 100);
    pthread_create(&connecting, NULL, connect_in_vain, ctx);
    sleep_ms(300);
    begin = seconds_now();
    dpl_conn_release(conn);
    CHECK(in_time(begin, 2), "a release returns while another thread connects");
    pthread_join(connecting, NULL);
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void check_connect_times_out(struct server *deaf) {
    dpl_ctx_t *ctx = context_over_server(deaf, "connection_timeout = 1");
    double begin = seconds_now();
    double took;

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "a host that never answers is a failure");
    took = seconds_now() - begin;
    CHECK(took > 0.9 && in_time(begin, 3), "after the connection timeout");
    CHECK(blacklisted_until(ctx, deaf) != 0, "and the host is out");
    dpl_ctx_free(ctx);
}

static void connect_is_bounded(void) {
    struct server *deaf = deaf_server();

    check_connect_times_out(deaf);
    server_stop(deaf);
}

static void signals_do_not_prolong_a_connect(void) {
    struct server *deaf = deaf_server();

    storm_begin(10000);
    check_connect_times_out(deaf);
    storm_end();
    server_stop(deaf);
}

static void *connect_at_last(void *ctx) {
    return checkout(ctx);
}

/* The profile's default would have ended it after 5 s. */
static void connect_without_a_limit_takes_as_long_as_it_takes(void) {
    struct server *deaf = deaf_server();
    dpl_ctx_t *ctx = context_over_server(deaf, "connection_timeout = -1");
    pthread_t connecting;
    void *conn = NULL;

    pthread_create(&connecting, NULL, connect_at_last, ctx);
    sleep_ms(5500);
    CHECK_INT(blacklisted_until(ctx, deaf), 0, "after 5.5 s the host is not given up");
    server_restart(deaf);
    pthread_join(connecting, &conn);
    REQUIRE(conn, "when it answers there is a connection");
    CHECK(answered_on(conn, 1), "which serves");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(deaf);
}

int main(void) {
    test_begin("slow");
    RUN(deaf_host_delays_nobody);
    RUN(silent_handshake_delays_nobody);
    RUN(one_of_many_hosts_is_found_in_time);
    RUN(short_calls_find_the_host_that_lives);
    RUN(release_waits_for_no_connect);
    RUN(connect_is_bounded);
    RUN(signals_do_not_prolong_a_connect);
    RUN(connect_without_a_limit_takes_as_long_as_it_takes);
    return test_end();
}
