/* Many threads on one context, while servers die and signals rain. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

enum { THREADS = 8, SERVERS = 3, TRIES = 4, DESCRIPTORS = 4096 };

static struct server *servers[SERVERS];
static dpl_ctx_t *ctx;
static atomic_bool finished;
static atomic_long rounds, lost, wrong;

static void begin(const char *more) {
    for (int i = 0; i < SERVERS; i++)
        servers[i] = server_answering(i);
    ctx = context_over_servers(servers, SERVERS, more);
    REQUIRE(ctx, "a context is made");
}

static long open_at_servers(void) {
    long n = 0;

    for (int i = 0; i < SERVERS; i++)
        n += server_open(servers[i]);
    return n;
}

static void end(void) {
    CHECK(EVENTUALLY(ctx->n_conn_fds == open_at_servers()),
          "as many connections are counted as the servers see");
    dpl_ctx_free(ctx);
    CHECK(EVENTUALLY(open_at_servers() == 0), "freeing the context closes them all");
    for (int i = 0; i < SERVERS; i++)
        server_stop(servers[i]);
}

static void start_threads(pthread_t threads[THREADS], void *(*run)(void *)) {
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, NULL);
}

static void join_threads(pthread_t threads[THREADS]) {
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- servers die ------------------------------------------------------------------- */

/* A reading request may be repeated: it is lost only when no try is answered. */
static void ask_until_answered(long number) {
    for (int i = 0; i < TRIES; i++) {
        struct answer answer = ask(ctx, number);

        if (answer.status == DPL_SUCCESS) {
            wrong += answer.number != number;
            return;
        }
    }
    lost++;
}

static void *ask_all_the_time(void *unused) {
    while (!finished)
        ask_until_answered(++rounds);
    return unused;
}

static void kill_and_restart_in_turn(int times) {
    for (int i = 0; i < times; i++) {
        sleep_ms(200);
        server_kill(servers[i % SERVERS]);
        sleep_ms(300);
        server_restart(servers[i % SERVERS]);
        sleep_ms(1500); /* it is asked again before the next one goes */
    }
}

static void check_all_answered(void) {
    pthread_t threads[THREADS];

    begin("blacklist_expiretime = 1");
    start_threads(threads, ask_all_the_time);
    kill_and_restart_in_turn(3);
    CHECK(EVENTUALLY(rounds > 100), "threads ask all the time, and servers die and come back");
    finished = true;
    join_threads(threads);
    CHECK_INT(lost, 0, "every request is answered");
    CHECK_INT(wrong, 0, "and every answer is the request's own");
    end();
}

static void requests_survive_their_servers(void) {
    check_all_answered();
}

static void signals_do_not_matter(void) {
    storm_begin(2000);
    check_all_answered();
    storm_end();
}

/* ---- exclusive use ----------------------------------------------------------------- */

static atomic_bool in_use[DESCRIPTORS];
static atomic_int shared;

static void *check_out_and_in(void *unused) {
    for (int i = 0; i < 1000; i++) {
        dpl_conn_t *conn = checkout(ctx);

        if (!conn) {
            lost++;
            continue;
        }
        shared += atomic_exchange(&in_use[conn->fd % DESCRIPTORS], true);
        sched_yield();
        in_use[conn->fd % DESCRIPTORS] = false;
        dpl_conn_release(conn);
    }
    return unused;
}

static void nobody_shares_a_connection(void) {
    pthread_t threads[THREADS];

    begin("");
    start_threads(threads, check_out_and_in);
    join_threads(threads);
    CHECK_INT(lost, 0, "8000 checkouts succeed");
    CHECK_INT(shared, 0, "each has the connection to itself");
    CHECK(ctx->n_conn_fds <= THREADS * SERVERS, "there are no more than can have been needed");
    end();
}

/* ---- turns ------------------------------------------------------------------------- */

enum { CHECKOUTS = 6000, ALLOWANCE = 17 * THREADS }; /* a busy thread may take 17 turns at once */

static atomic_long turns[SERVERS];

static void *take_turns(void *unused) {
    for (int i = 0; i < CHECKOUTS; i++) {
        dpl_conn_t *conn = checkout(ctx);

        for (int k = 0; conn && k < SERVERS; k++)
            turns[k] += strcmp(conn->port, server_port(servers[k])) == 0;
        dpl_conn_release(conn);
    }
    return unused;
}

/* Prints nothing on stdout that differs between runs. */
static bool is_near(const char *what, long is, long should_be) {
    fprintf(stderr, "# %s: %ld, %ld expected\n", what, is, should_be);
    return labs(is - should_be) <= ALLOWANCE;
}

/* Opens as many connections to each host as there are threads: a host whose handshake takes long loses turns. */
static void open_all(void) {
    dpl_conn_t *conns[THREADS * SERVERS];

    for (int i = 0; i < THREADS * SERVERS; i++)
        conns[i] = checkout(ctx);
    for (int i = 0; i < THREADS * SERVERS; i++)
        dpl_conn_release(conns[i]);
}

static void threads_share_the_turns(void) {
    enum { ALL = THREADS * CHECKOUTS };
    pthread_t threads[THREADS];
    int first_turn;
    int counted;

    begin("");
    open_all();
    first_turn = ctx->cur_host;
    start_threads(threads, take_turns);
    join_threads(threads);
    for (int i = 0; i < SERVERS; i++)
        CHECK(is_near("checkouts of a host", turns[i], ALL / SERVERS),
              "host %d has a third of %d checkouts", i + 1, ALL);
    counted = ctx->cur_host - first_turn;
    CHECK(is_near("cur_host", counted, ALL) && counted >= ALL, "cur_host counted them");
    end();
}

/* ---- what a program changes meanwhile ---------------------------------------------- */

static atomic_long entries_seen;

static void *walk_host_list(void *unused) {
    dpl_addr_t *addr;

    while (!finished) {
        dpl_addrlist_lock(ctx->addrlist);
        LIST_FOREACH (addr, &ctx->addrlist->addr_list, list)
            entries_seen += addr->host[0] == '1' && addr->h->h_addr_list[0][0] == 127;
        dpl_addrlist_unlock(ctx->addrlist);
        sched_yield();
    }
    return unused;
}

/* For some time, and until the threads have asked often enough, however busy the machine is. */
static void change_hosts_and_limits(long enough) {
    double give_up = seconds_now() + patience(20);
    char hosts[SERVERS][64];

    for (int i = 0; i < SERVERS; i++)
        snprintf(hosts[i], sizeof hosts[i], "%s;%s", server_name(servers[i]),
                 server_name(servers[(i + 1) % SERVERS]));
    for (int i = 0; i < 300 || (rounds <= enough && seconds_now() < give_up); i++) {
        dpl_addrlist_set_from_str(ctx->addrlist, hosts[i % SERVERS]);
        ctx->n_conn_max_hits = 1 + i % 50;
        ctx->conn_idle_time = i % 7 == 0 ? 0 : 100;
        sleep_ms(2);
    }
}

static void hosts_change_under_way(void) {
    pthread_t threads[THREADS];
    pthread_t walker;

    begin("");
    pthread_create(&walker, NULL, walk_host_list, NULL);
    start_threads(threads, ask_all_the_time);
    change_hosts_and_limits(100);
    finished = true;
    join_threads(threads);
    pthread_join(walker, NULL);
    CHECK(rounds > 100, "threads ask while the program changes hosts and limits");
    CHECK(entries_seen > 0, "and walks the list");
    CHECK_INT(lost, 0, "every request is answered");
    CHECK_INT(wrong, 0, "and every answer is the request's own");
    end();
}

static void *replace_the_list(void *unused) {
    for (int i = 0; !finished; i++)
        dpl_addrlist_set_from_str(ctx->addrlist, server_name(servers[i % 2]));
    return unused;
}

static void *check_out_all_the_time(void *unused) {
    while (!finished) {
        dpl_conn_t *conn = checkout(ctx);

        rounds++;
        if (conn)
            dpl_conn_terminate(conn);
        else
            lost++;
    }
    return unused;
}

/* Neither checkouts nor forks wait for the list's lock. */
static void replaced_list_is_never_empty(void) {
    double give_up = seconds_now() + patience(20);
    pthread_t threads[2];
    int empty = 0;

    if (getenv("EMULATOR")) {
        check_skip("a child may wait for a lock of the emulator's that another thread held at the fork");
        return;
    }
    begin("");
    dpl_addrlist_set_from_str(ctx->addrlist, server_name(servers[0]));
    pthread_create(&threads[0], NULL, replace_the_list, NULL);
    pthread_create(&threads[1], NULL, check_out_all_the_time, NULL);
    for (int i = 0; i < 100 || (rounds <= 100 && seconds_now() < give_up); i++) {
        pid_t child = fork();

        if (child == 0)
            end_child(dpl_addrlist_count(ctx->addrlist) > 0);
        empty += !ended_well(child);
    }
    finished = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(rounds > 100, "a thread checks out while another one replaces the list");
    CHECK_INT(lost, 0, "there is always a host to connect to");
    CHECK_INT(empty, 0, "in a forked child too");
    end();
}

int main(void) {
    test_begin("threads");
    RUN(requests_survive_their_servers);
    RUN(signals_do_not_matter);
    RUN(nobody_shares_a_connection);
    RUN(threads_share_the_turns);
    RUN(hosts_change_under_way);
    RUN(replaced_list_is_never_empty);
    return test_end();
}
