/* Hosts that never answer, and many threads: the delay that each thread meets. */
#include <pthread.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/race.h"

static double elapsed(void) {
    return seconds_now() - race.begin;
}

/* A checkout that took so long met the slow host; one of LONG waited for it. */
static const double NOTICED = 0.05;
static const double LONG = 0.4;

static void check_out_once(void) {
    double before = elapsed();
    dpl_conn_t *conn = checkout(race.ctx);
    double took = elapsed() - before;

    race.too_long += took > LONG;
    if (took > NOTICED)
        (before < 0.3 ? &race.noticed_first : &race.noticed_later)[0]++;
    if (conn && answered_on(conn, 1)) {
        race.good++;
        dpl_conn_release(conn);
    } else {
        race.bad++;
    }
}

static void *check_out_all_the_time(void *unused) {
    while (!race.finished) {
        check_out_once();
        sleep_ms(1);
    }
    return unused;
}

static void start_threads(pthread_t threads[THREADS]) {
    race.begin = seconds_now();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, check_out_all_the_time, NULL);
}

static void join_threads(pthread_t threads[THREADS]) {
    CHECK(EVENTUALLY(race.good > 100), "checkouts succeed all the time");
    race.finished = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(race.bad, 0, "none fails");
    fprintf(stderr, "# %ld checkouts, %ld noticed the slow host at first, %ld later; %d connects\n",
            race.good, race.noticed_first, race.noticed_later, connects_to(race.slow));
}

/* Machines under load make anybody wait: what each thread did is then told by the connects. */
static void check_times(int periods) {
    if (!soak_wanted())
        return;
    CHECK_INT(race.too_long, 0, "no checkout takes 0.4 s");
    CHECK(race.noticed_first <= THREADS, "at first each thread may notice the slow host once");
    CHECK(race.noticed_later <= periods, "after that one thread a probe");
}

/* ---- what it costs ----------------------------------------------------------------- */

static void wait_until(double moment) {
    double left = moment - elapsed();

    if (left > 0)
        sleep_ms((int)(1000 * left));
}

/* A connect may take 5 s, and a host that failed is out for 10. */
static void go_on_to_the_first_probe(void) {
    double healed;
    long before;

    wait_until(6);
    CHECK(blacklisted_until(race.ctx, race.slow) != 0, "past its deadline it is out");
    CHECK_INT(sockets_to(race.slow), 0, "and nothing is left of the attempts");
    wait_until(15.5);
    CHECK_INT(connects_to(race.slow), THREADS + 1, "10 s later it is probed, once");
    heal(race.slow);
    healed = seconds_now();
    before = server_requests(race.slow);
    while (server_requests(race.slow) < before + 100 && seconds_now() - healed < 20)
        sleep_ms(10);
    CHECK(seconds_now() - healed < 10 + 1, "healed, it is back after a blacklisting and 1 s");
}

/* With the timeouts that a profile has which names none. */
static void slow_host_costs_each_thread_one_head_start(void) {
    pthread_t threads[THREADS];

    begin("");
    start_threads(threads);
    wait_until(2);
    CHECK(connects_to(race.slow) >= 1, "the slow host is tried");
    CHECK(connects_to(race.slow) <= THREADS, "by each thread once at most");
    CHECK(sockets_to(race.slow) >= 1, "which nobody waits for any more");
    if (soak_wanted())
        go_on_to_the_first_probe();
    join_threads(threads);
    check_times(2);
    end();
}

/* A probe ends after 1 s, and the blacklisting after it takes 2 s: so many fit into the time since
 * then. */
static void check_probed_by_one(int connects, double since) {
    sleep_ms(500);
    CHECK(connects_to(race.slow) <= connects + 1 + (int)((elapsed() - since) / 3),
          "by one attempt, whatever the number of threads");
}

static void slow_host_is_probed_once_a_blacklisting(void) {
    pthread_t threads[THREADS];
    double since;
    int at_first;

    begin("connection_timeout = 1\nblacklist_expiretime = 2");
    start_threads(threads);
    CHECK(EVENTUALLY(blacklisted_until(race.ctx, race.slow) != 0), "at its deadline it is out");
    CHECK(elapsed() > 0.9 && in_time(race.begin, 4), "not before, and not long after");
    since = elapsed();
    at_first = connects_to(race.slow);
    CHECK(at_first <= THREADS, "until then each thread has tried it once at most");
    CHECK(EVENTUALLY(sockets_to(race.slow) == 0), "its attempts end");
    CHECK(EVENTUALLY(connects_to(race.slow) > at_first), "when its time is up it is probed");
    check_probed_by_one(at_first, since);
    CHECK(EVENTUALLY(blacklisted_until(race.ctx, race.slow) != 0), "which fails: it is out again");
    CHECK(EVENTUALLY(connects_to(race.slow) > at_first + 1), "and probed again");
    check_probed_by_one(at_first, since);
    join_threads(threads);
    check_times(2);
    end();
}

/* The attempt that is under way keeps others from making one, not the time. */
static void one_attempt_at_a_time_without_a_blacklisting(void) {
    pthread_t threads[THREADS];
    int most = 0;
    double since;
    int before;

    begin("connection_timeout = 1\nblacklist_expiretime = 0");
    start_threads(threads);
    CHECK(EVENTUALLY(connects_to(race.slow) > 0), "the slow host is tried");
    before = connects_to(race.slow);
    CHECK(EVENTUALLY(connects_to(race.slow) > before && elapsed() > 2), "and again, at once");
    before = connects_to(race.slow);
    since = elapsed();
    for (int i = 0; i < 300; i++) {
        int now = sockets_to(race.slow);

        most = now > most ? now : most;
        sleep_ms(10);
    }
    CHECK_INT(most, 1, "by one attempt at a time");
    CHECK(connects_to(race.slow) - before <= elapsed() - since + 1,
          "and each attempt takes a second");
    join_threads(threads);
    end();
}

static void healed_host_comes_back(void) {
    pthread_t threads[THREADS];
    double healed;
    long before;

    begin("connection_timeout = 1\nblacklist_expiretime = 2");
    start_threads(threads);
    REQUIRE(EVENTUALLY(blacklisted_until(race.ctx, race.slow) != 0), "the slow host is out");
    heal(race.slow);
    healed = seconds_now();
    before = server_requests(race.slow);
    CHECK(EVENTUALLY(server_requests(race.slow) > before), "healed, it is asked again");
    CHECK(in_time(healed, 2 + 2), "as soon as its blacklisting has ended");
    CHECK(EVENTUALLY(server_requests(race.slow) > before + 100), "by everybody");
    join_threads(threads);
    end();
}

/* ---- all of them slow -------------------------------------------------------------- */

static void *check_out_and_ask(void *unused) {
    dpl_conn_t *conn = checkout(race.ctx);

    race.good += conn && answered_on(conn, 1);
    if (conn)
        dpl_conn_release(conn);
    return unused;
}

static void first_that_answers_serves(void) {
    struct server *others[] = {slow_server(), slow_server(), slow_server()};
    pthread_t threads[THREADS];
    double began;

    race.ctx = context_over_servers(others, 3, "connection_timeout = 8");
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, check_out_and_ask, NULL);
    sleep_ms(800);
    CHECK_INT(race.good, 0, "three slow hosts, and nobody has a connection yet");
    for (int i = 0; i < 3; i++)
        CHECK_INT(sockets_to(others[i]), THREADS, "each thread waits for host %d", i);
    heal(others[1]);
    began = seconds_now();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(race.good, THREADS, "the first that answers serves them all");
    CHECK(in_time(began, 4.5), "long before the others time out");
    CHECK_INT(hosts_available(race.ctx), 3, "and nobody is out yet");
    dpl_ctx_free(race.ctx);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(sockets_to(others[i]), 0, "nothing is left of host %d", i);
        server_stop(others[i]);
    }
}

int main(void) {
    test_begin("races");
    RUN(slow_host_costs_each_thread_one_head_start);
    RUN(slow_host_is_probed_once_a_blacklisting);
    RUN(one_attempt_at_a_time_without_a_blacklisting);
    RUN(healed_host_comes_back);
    RUN(first_that_answers_serves);
    return test_end();
}
