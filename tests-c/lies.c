/*
 * Servers that lie, and servers that come and go: no reply is ever read by a request that is not
 * its own, and no request fails but through what its own server did to it.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

/* ---- one lie at a time ------------------------------------------------------------- */

/* Many requests, each by a connection that may have been lied to before. */
static void check_own_answers(enum behaviour behaviour, int connections) {
    struct server *server = server_start((struct server_options){.behaviour = behaviour});
    dpl_ctx_t *ctx = context_over_server(server, "");
    int good = 0;

    for (int i = 1; i <= 50; i++)
        good += answered(ctx, i);
    CHECK_INT(good, 50, "each request reads its own reply");
    CHECK_INT(server_accepted(server), connections, "%s",
              connections == 1 ? "all by one connection" : "each by a connection of its own");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void honest_server_keeps_its_connection(void) {
    check_own_answers(ANSWER, 1);
}

static void second_reply_is_nobodys(void) {
    check_own_answers(ANSWER_TWICE, 50);
}

static void reply_longer_than_it_says_is_cut(void) {
    check_own_answers(ANSWER_TOO_LONG, 50);
}

static void head_of_another_reply_is_nobodys(void) {
    check_own_answers(ANSWER_AND_MORE, 50);
}

static void late_408_is_nobodys(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    int good = 0;

    for (int i = 1; i <= 20; i++) {
        good += answered(ctx, i);
        server_send_unasked(server);
    }
    CHECK_INT(good, 20, "each request reads its own reply");
    CHECK_INT(server_accepted(server), 20, "each by a connection of its own");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* The reply does not fit into the reader's buffer: part of it is unread at release. */
static void unread_flood_is_nobodys(void) {
    struct server *server = server_start((struct server_options){.behaviour = ANSWER_TWICE});
    dpl_ctx_t *ctx = context_over_server(server, "read_buf_size = 16\n");
    int good = 0;

    for (int i = 1; i <= 20; i++)
        good += answered(ctx, i);
    CHECK_INT(good, 20, "each request reads its own reply");
    CHECK_INT(server_accepted(server), 20, "each by a connection of its own");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- all of them, and servers that come and go ------------------------------------- */

enum { SERVERS = 4, THREADS = 8, REQUESTS = 10000, REQUESTS_OF_SOAK = 1000000 };

static struct server *servers[SERVERS];
static dpl_ctx_t *ctx;
static _Atomic char *deeds;
static atomic_long next_number, asked;
static long requests; /* no more are asked */
static long fewest;   /* so many are asked in any case, and then more until one meets a misdeed */
static atomic_bool finished;

static atomic_long answered_well, answered_wrongly, failed_excusably, failed, without_connection;

static struct server *server_of(const dpl_conn_t *conn) {
    for (int i = 0; i < SERVERS; i++)
        if (strcmp(server_port(servers[i]), conn->port) == 0)
            return servers[i];
    return NULL;
}

/* May it fail? Yes if its server answered it wrongly, or was in trouble meanwhile. */
static bool is_excused(long number, struct server *server, long over_before) {
    return deeds[number] == ILL_SERVED || server_troubles_begun(server) != over_before;
}

static void ask_number(long number) {
    long over[SERVERS];
    struct answer answer;
    struct server *server;
    dpl_conn_t *conn;
    int i = 0;

    for (int k = 0; k < SERVERS; k++)
        over[k] = server_troubles_over(servers[k]);
    conn = checkout(ctx);
    if (!conn) {
        without_connection++;
        return;
    }
    server = server_of(conn);
    while (servers[i] != server)
        i++;
    answer = ask_on(conn, number);
    if (answer.status == DPL_SUCCESS) {
        if (answer.number == number)
            answered_well++;
        else
            answered_wrongly++;
        dpl_conn_release(conn);
        return;
    }
    dpl_conn_terminate(conn);
    if (is_excused(number, server, over[i]))
        failed_excusably++;
    else {
        fprintf(stderr, "# request %ld to server %d failed, which %s it\n", number, i + 1,
                deeds[number] == SERVED ? "served" : "did not see");
        failed++;
    }
    /* Otherwise liars would be out most of the time. */
    dpl_addrlist_unblacklist(ctx->addrlist, "127.0.0.1", server_port(server));
}

static void *ask_all_the_time(void *unused) {
    long number;

    (void)unused;
    while ((number = ++next_number) <= requests && (number <= fewest || failed_excusably == 0)) {
        ask_number(number);
        asked++;
    }
    return NULL;
}

/* All but the first server, one after the other. */
static void *flap(void *unused) {
    (void)unused;
    for (int turn = 0; !finished; turn++) {
        struct server *server = servers[1 + turn % (SERVERS - 1)];

        switch (turn % 4) {
        case 0:
            server_kill(server);
            sleep_ms(20);
            server_restart(server);
            break;
        case 1:
            server_reset_connections(server);
            break;
        case 2:
            server_close_connections(server);
            break;
        default:
            server_send_unasked(server);
        }
        sleep_ms(30);
    }
    return NULL;
}

static void no_reply_is_anothers(void) {
    pthread_t threads[THREADS];
    pthread_t flapping;

    requests = soak_wanted() ? REQUESTS_OF_SOAK : REQUESTS;
    fewest = machine_is_slow() && !soak_wanted() ? REQUESTS / 20 : requests;
    deeds = calloc((size_t)requests + 1, sizeof *deeds);
    for (int i = 0; i < SERVERS; i++)
        servers[i] = server_start(
            (struct server_options){.id = i + 1, .behaviour = i == 0 ? FIB : LIE, .deeds = deeds});
    ctx = context_over_servers(servers, SERVERS, "blacklist_expiretime = 1\n");
    REQUIRE(ctx, "a context is made");
    dpl_set_log_func(NULL);
    pthread_create(&flapping, NULL, flap, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask_all_the_time, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    finished = true;
    pthread_join(flapping, NULL);
    fprintf(stderr, "# %ld answered, %ld failed through their server\n", answered_well,
            failed_excusably);
    CHECK_INT(answered_wrongly, 0, "no request reads the reply of another");
    CHECK_INT(failed, 0, "none fails but through what its own server did");
    CHECK_INT(without_connection, 0, "none goes without a connection");
    CHECK(failed_excusably > 0, "some of them met a server's misdeeds");
    CHECK_INT(answered_well + failed_excusably, asked, "all the others are answered");
    dpl_ctx_free(ctx);
    for (int i = 0; i < SERVERS; i++)
        server_stop(servers[i]);
    free((void *)deeds);
}

int main(void) {
    test_begin("lies");
    RUN(honest_server_keeps_its_connection);
    RUN(second_reply_is_nobodys);
    RUN(reply_longer_than_it_says_is_cut);
    RUN(head_of_another_reply_is_nobodys);
    RUN(late_408_is_nobodys);
    RUN(unread_flood_is_nobodys);
    RUN(no_reply_is_anothers);
    return test_end();
}
