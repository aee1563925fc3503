/* Something runs out: calls fail at once with a status of their own, and no host is blamed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/namespace.h"

static int local_port(dpl_conn_t *conn) {
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;

    getsockname(conn->fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}

/* Two servers; the tests blacklist one of them. */
struct pair {
    struct server *servers[2];
    dpl_ctx_t *ctx;
};

static struct pair pair_start(void) {
    struct pair pair = {.servers = {server_answering(1), server_answering(2)}};

    pair.ctx = context_over_servers(pair.servers, 2, "");
    REQUIRE(pair.ctx, "a context is made");
    return pair;
}

static void pair_stop(struct pair pair) {
    dpl_ctx_free(pair.ctx);
    server_stop(pair.servers[0]);
    server_stop(pair.servers[1]);
}

static void offer_only(struct pair pair, int which) {
    dpl_addrlist_t *list = pair.ctx->addrlist;

    dpl_addrlist_unblacklist(list, "127.0.0.1", server_port(pair.servers[which]));
    dpl_addrlist_blacklist(list, "127.0.0.1", server_port(pair.servers[1 - which]), 100);
}

/* ---- connections ------------------------------------------------------------------- */

static void connections_are_limited(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conns[3];
    dpl_conn_t *one_more = NULL;
    double begin;

    ctx->n_conn_max = 3; /* set by the program, after the context was made */
    for (int i = 0; i < 3; i++)
        REQUIRE((conns[i] = checkout(ctx)) != NULL, "connection %d is made", i);
    begin = seconds_now();
    CHECK_STATUS(try_connect(ctx, &one_more), DPL_ELIMIT, "beyond n_conn_max there is none");
    CHECK(in_time(begin, 2), "which is said at once");
    CHECK(one_more == NULL, "*connp is unchanged");
    CHECK_INT(ctx->n_conn_fds, 3, "n_conn_fds too");
    CHECK_INT(blacklisted_until(ctx, server), 0, "nobody is blamed");
    dpl_conn_terminate(conns[0]);
    CHECK_STATUS(try_connect(ctx, &conns[0]), DPL_SUCCESS, "one ended makes room for another");
    dpl_conn_release(conns[1]);
    CHECK_STATUS(try_connect(ctx, &conns[1]), DPL_SUCCESS, "one released is reused");
    ctx->n_conn_max = 4;
    CHECK_STATUS(try_connect(ctx, &one_more), DPL_SUCCESS, "a higher limit counts at once");
    dpl_conn_terminate(one_more);
    for (int i = 0; i < 3; i++)
        dpl_conn_terminate(conns[i]);
    ctx->n_conn_max = 0;
    CHECK_STATUS(try_connect(ctx, &one_more), DPL_ELIMIT, "a limit of 0 allows none");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void room_is_made_for_another_host(void) {
    struct pair pair = pair_start();
    dpl_conn_t *conns[3];
    dpl_conn_t *other;
    int ports[3];

    offer_only(pair, 0);
    for (int i = 0; i < 3; i++) {
        REQUIRE((conns[i] = checkout(pair.ctx)) != NULL, "connection %d is made", i);
        ports[i] = local_port(conns[i]);
    }
    for (int i = 0; i < 3; i++) /* 0 will have waited the longest */
        dpl_conn_release(conns[i]);
    pair.ctx->n_conn_max = 3;
    offer_only(pair, 1);
    CHECK_STATUS(try_connect(pair.ctx, &other), DPL_SUCCESS, "the other host is connected to");
    CHECK_INT(pair.ctx->n_conn_fds, 3, "within the limit");
    offer_only(pair, 0);
    CHECK_INT(local_port(conns[0] = checkout(pair.ctx)), ports[2], "the newest idle one is left");
    CHECK_INT(local_port(conns[1] = checkout(pair.ctx)), ports[1], "the second newest too");
    CHECK_STATUS(try_connect(pair.ctx, &conns[2]), DPL_ELIMIT, "the oldest made room");
    dpl_conn_terminate(conns[0]);
    dpl_conn_terminate(conns[1]);
    dpl_conn_terminate(other);
    pair_stop(pair);
}

/* ---- hosts that do not answer ------------------------------------------------------ */

enum { THREADS = 8, BLACK_HOLES = 4 };

static struct server *black_hole(void) {
    struct server *server = server_start((struct server_options){.refuse = true});

    server_go_deaf(server);
    return server;
}

/* As context_over_servers(), with so many seconds for a connect. A host stays out for longer than any case
 * takes: with the default of 10 s it would be back before a connect ends under valgrind. */
static dpl_ctx_t *context_with_timeout(struct server *const servers[], int n, int seconds) {
    char more[80];

    snprintf(more, sizeof more, "connection_timeout = %d\nblacklist_expiretime = 1000",
             (int)patience(seconds));
    return context_over_servers(servers, n, more);
}

static void *check_out(void *ctx) {
    return checkout(ctx);
}

/* A thread that starts late may find that others have taken its connection for a second attempt. It is told
 * so at once, and tries again. */
static void *check_out_when_there_is_room(void *ctx) {
    double give_up = seconds_now() + patience(5);
    dpl_conn_t *conn = NULL;

    while (try_connect(ctx, &conn) == DPL_ELIMIT && seconds_now() < give_up)
        sleep_ms(10);
    return conn;
}

/* A call with one connection for all its attempts turns from host to host. It has to come back to the one
 * whose queue was full at first. */
static void live_host_is_come_back_to(void) {
    struct server *servers[BLACK_HOLES + 1];
    pthread_t threads[THREADS];
    dpl_conn_t *conns[THREADS];
    dpl_ctx_t *ctx;
    int good = 0;

    for (int i = 0; i <= BLACK_HOLES; i++)
        servers[i] = black_hole();
    ctx = context_with_timeout(servers, BLACK_HOLES + 1, 2);
    ctx->n_conn_max = THREADS;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, check_out_when_there_is_room, ctx);
    sleep_ms(400);
    server_restart(servers[BLACK_HOLES]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], (void **)&conns[i]);
        good += conns[i] != NULL;
    }
    CHECK_INT(good, THREADS, "each thread gets a connection to the only host that lives");
    CHECK_INT(hosts_available(ctx), BLACK_HOLES + 1, "nobody is out for want of connections");
    for (int i = 0; i < THREADS; i++)
        if (conns[i])
            dpl_conn_release(conns[i]);
    dpl_ctx_free(ctx);
    for (int i = 0; i <= BLACK_HOLES; i++)
        server_stop(servers[i]);
}

/* The same among the addresses of one host. */
static void live_address_is_come_back_to(void) {
    struct server *servers[2] = {NULL};
    char host[64];
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
    pthread_t thread;

    if (!own_names("127.0.0.2 a.test\n127.0.0.3 a.test\n"))
        return;
    servers[0] = server_start(
        (struct server_options){.address = "127.0.0.2", .refuse = true, .tls = TLS_NEVER});
    servers[1] = server_start((struct server_options){.address = "127.0.0.3",
                                                      .port = atoi(server_port(servers[0])),
                                                      .refuse = true,
                                                      .tls = TLS_NEVER});
    snprintf(host, sizeof host, "host = \"a.test:%s\"\nconnection_timeout = %d\n", server_port(servers[0]),
             (int)patience(3));
    ctx = context_from_text(host);
    for (int order = 0; order < 2; order++) {
        for (int i = 0; i < 2; i++)
            server_go_deaf(servers[i]);
        ctx->n_conn_max = 1;
        pthread_create(&thread, NULL, check_out, ctx);
        sleep_ms(400);
        server_restart(servers[order]);
        pthread_join(thread, (void **)&conn);
        CHECK(conn != NULL, "the address that lives is connected to");
        if (conn)
            dpl_conn_terminate(conn);
    }
    dpl_ctx_free(ctx);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

static void limit_is_named_if_it_is_in_the_way(void) {
    struct server *servers[] = {black_hole(), black_hole()};
    dpl_ctx_t *ctx = context_with_timeout(servers, 2, 1);

    ctx->n_conn_max = 1;
    logs_collect();
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ELIMIT, "two hosts share the time of one connection");
    CHECK_INT(logs_with("n_conn_max (1) is too low to wait for all hosts at once"), 1,
              "which the log says");
    CHECK_INT(hosts_available(ctx), 2, "nobody is out");
    ctx->n_conn_max = 2;
    CHECK_STATUS(try_connect(ctx, NULL), DPL_FAILURE, "with one for each, neither answers");
    CHECK(EVENTUALLY(try_connect(ctx, NULL) == DPL_FAILURE && hosts_available(ctx) == 0),
          "for which both are soon out");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void connections_being_opened_are_told_apart(void) {
    struct server *servers[] = {black_hole(), server_answering(1)};
    dpl_ctx_t *ctx = context_with_timeout(servers, 1, 2);
    dpl_conn_t *conns[3];
    pthread_t thread;
    void *none;

    for (int i = 0; i < 3; i++) {
        conns[i] = dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(servers[1]));
        REQUIRE(conns[i], "connection %d is made", i);
    }
    ctx->n_conn_max = 4;
    pthread_create(&thread, NULL, check_out, ctx);
    CHECK(EVENTUALLY(ctx->n_conn_fds == 4), "another is on its way");
    logs_collect();
    CHECK(!dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(servers[1])), "a fifth is one too many");
    CHECK_INT(logs_with("n_conn_max (4) reached: 3 connections are in use, 1 are being opened"), 1,
              "and the log says who has the others");
    pthread_join(thread, &none);
    for (int i = 0; i < 3; i++)
        dpl_conn_terminate(conns[i]);
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void files_are_no_connections(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn;

    ctx->n_conn_max = 0;
    conn = dpl_conn_open_file(ctx, open("/dev/null", O_WRONLY | O_CLOEXEC));
    CHECK(conn != NULL, "a file is opened where no connection is allowed");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

struct racer {
    pthread_t thread;
    dpl_ctx_t *ctx;
    int strange; /* neither answered nor at the limit */
    int most;    /* open connections seen */
};

static void *race(void *arg) {
    struct racer *racer = arg;

    for (int i = 0; i < 200; i++) {
        struct answer answer = ask(racer->ctx, i);
        int open = racer->ctx->n_conn_fds;

        racer->strange +=
            answer.status != DPL_ELIMIT && !(answer.status == DPL_SUCCESS && answer.number == i);
        racer->most = open > racer->most ? open : racer->most;
    }
    return NULL;
}

static void limit_holds_among_threads(void) {
    struct pair pair = pair_start();
    struct racer racers[8];
    int strange = 0;
    int most = 0;

    pair.ctx->n_conn_max = 3;
    for (int i = 0; i < 8; i++) {
        racers[i] = (struct racer){.ctx = pair.ctx};
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(racers[i].thread, NULL);
        strange += racers[i].strange;
        most = racers[i].most > most ? racers[i].most : most;
    }
    CHECK_INT(strange, 0, "a request is answered, or is one too many");
    CHECK(most > 0 && most <= 3, "never are there more connections than the limit");
    CHECK_INT(hosts_available(pair.ctx), 2, "nobody is blamed");
    pair_stop(pair);
}

/* ---- time -------------------------------------------------------------------------- */

static void idle_connections_of_unused_hosts_are_closed(void) {
    struct pair pair = pair_start();

    pair.ctx->conn_idle_time = 1;
    offer_only(pair, 0);
    REQUIRE(leave_idle(pair.ctx, 5), "five connections to a host are idle");
    CHECK(EVENTUALLY(server_open(pair.servers[0]) == 5), "which the server sees");
    offer_only(pair, 1);
    sleep_ms(2100);
    for (int i = 0; i < 30 && server_open(pair.servers[0]) > 0; i++) {
        REQUIRE(answered(pair.ctx, i), "the other host answers");
        sleep_ms(100);
    }
    CHECK_INT(server_open(pair.servers[0]), 0, "past their time they are closed");
    CHECK_INT(pair.ctx->n_conn_fds, 1, "one connection to the other host is left");
    pair_stop(pair);
}

int main(void) {
    test_begin("limits");
    RUN(connections_are_limited);
    RUN(room_is_made_for_another_host);
    RUN(live_host_is_come_back_to);
    RUN(live_address_is_come_back_to);
    RUN(limit_is_named_if_it_is_in_the_way);
    RUN(connections_being_opened_are_told_apart);
    RUN(files_are_no_connections);
    RUN(limit_holds_among_threads);
    RUN(idle_connections_of_unused_hosts_are_closed);
    return test_end();
}
