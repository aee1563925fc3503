/* Only a connect that succeeds brings a blacklisted host back. */
#include <stdatomic.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/sockets.h"

enum { THREADS = 8, IDLE = 24 };

/* A read may take so long, and a request that took half of it waited for the host that hangs. */
enum { READ_TIMEOUT = 2 };

static struct {
    struct server *hung, *live;
    dpl_ctx_t *ctx;
    atomic_bool finished;
    atomic_long good, bad, stalled;
} test;

static void begin(void) {
    char more[128];

    snprintf(more, sizeof more, "read_timeout = %d\nconnection_timeout = 5\nblacklist_expiretime = 1\n",
             (int)patience(READ_TIMEOUT));
    test.hung = server_answering(1);
    test.live = server_answering(2);
    sockets_watch(test.hung);
    test.ctx = context_over_servers((struct server *[]){test.hung, test.live}, 2, more);
    REQUIRE(test.ctx && leave_idle(test.ctx, 2 * IDLE), "many connections to both are idle");
    CHECK(EVENTUALLY(server_open(test.hung) == IDLE), "half of them to each");
}

static void end(void) {
    dpl_ctx_free(test.ctx);
    server_stop(test.hung);
    server_stop(test.live);
}

/* Its connections stay silent, and one request waits for its answer. */
static void hang(void) {
    server_hang(test.hung);
    while (blacklisted_until(test.ctx, test.hung) == 0)
        answered(test.ctx, 1);
}

static void *ask_all_the_time(void *unused) {
    while (!test.finished) {
        double begin = seconds_now();
        bool good = answered(test.ctx, 1);

        test.stalled += !in_time(begin, READ_TIMEOUT / 2.0);
        (good ? &test.good : &test.bad)[0]++;
        sleep_ms(1);
    }
    return unused;
}

static void ask_for(int seconds) {
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask_all_the_time, NULL);
    sleep_ms(1000 * seconds);
    CHECK(EVENTUALLY(test.good > 100), "requests are answered");
    test.finished = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void hung_host_stalls_nobody_once_it_is_out(void) {
    double since;
    int before;

    begin();
    hang();
    CHECK(EVENTUALLY(server_open(test.hung) == 0), "out, it has no connection any more");
    before = connects_to(test.hung);
    since = seconds_now();
    ask_for(4);
    CHECK_INT(test.bad, 0, "all of them");
    CHECK_INT(test.stalled, 0, "and none waited for the host that hangs");
    CHECK(connects_to(test.hung) > before, "which was probed meanwhile");
    CHECK(connects_to(test.hung) - before <= seconds_now() - since + 1, "about once a second");
    end();
}

/* A connection that was in use when its host was put out, and did its work. */
static void connection_from_before_is_not_kept(void) {
    dpl_conn_t *conns[2];
    int of_hung;

    begin();
    for (int i = 0; i < 2; i++)
        REQUIRE((conns[i] = checkout(test.ctx)) && answered_on(conns[i], i), "both hosts answer");
    of_hung = strcmp(conns[0]->port, server_port(test.hung)) != 0;
    hang();
    CHECK(EVENTUALLY(server_open(test.hung) == 1), "one is left of its connections");
    dpl_conn_release(conns[of_hung]);
    CHECK(EVENTUALLY(server_open(test.hung) == 0), "which is closed when it is given back");
    dpl_conn_release(conns[!of_hung]);
    end();
}

/* A host that answers with an error is out, but its connections are good. */
static void host_that_replies_keeps_its_connections(void) {
    begin();
    server_behave(test.hung, ANSWER_500);
    while (blacklisted_until(test.ctx, test.hung) == 0)
        ask(test.ctx, 1);
    for (int i = 0; i < 20; i++)
        REQUIRE(answered(test.ctx, i), "the other host answers");
    CHECK_INT(server_open(test.hung), IDLE - 1, "but for the one of that answer they stay open");
    end();
}

static void host_that_heals_is_used_again(void) {
    long before;

    begin();
    hang();
    server_behave(test.hung, ANSWER);
    server_restart(test.hung);
    before = server_requests(test.hung);
    CHECK(EVENTUALLY(answered(test.ctx, 1) && server_requests(test.hung) > before + 10),
          "healed, it comes back");
    CHECK(server_open(test.hung) >= 1, "and has idle connections again");
    end();
}

int main(void) {
    test_begin("probes");
    RUN(hung_host_stalls_nobody_once_it_is_out);
    RUN(connection_from_before_is_not_kept);
    RUN(host_that_replies_keeps_its_connections);
    RUN(host_that_heals_is_used_again);
    return test_end();
}
