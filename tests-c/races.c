/* Hosts that never answer, and many threads: what each of them pays, and what is left behind. */
#include <sched.h>
#include <sys/wait.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/sockets.h"

enum { THREADS = 6 };

/* A checkout that took so long met the slow host; one of LONG waited for it. */
static const double NOTICED = 0.05;
static const double LONG = 0.4;

/* Over TLS it connects and keeps silent in the handshake, else it does not even connect. */
static struct server *slow_server(void) {
    struct server *server =
        server_start((struct server_options){.refuse = !tls_wanted(), .behaviour = SILENT});

    if (!tls_wanted())
        server_go_deaf(server);
    sockets_watch(server);
    return server;
}

static void heal(struct server *server) {
    server_behave(server, ANSWER);
    if (!tls_wanted())
        server_restart(server);
}

/* A slow host and a live one, and what became of checkouts from them. */
static struct {
    struct server *slow, *live;
    dpl_ctx_t *ctx;
    double begin;
    atomic_bool finished;
    atomic_long good, bad, too_long, noticed_first, noticed_later;
} race;

static void begin(const char *more) {
    race.slow = slow_server();
    race.live = server_answering(1);
    race.ctx = context_over_servers((struct server *[]){race.slow, race.live}, 2, more);
    REQUIRE(race.ctx, "a context over a slow host and a live one is made");
}

static void end(void) {
    dpl_ctx_free(race.ctx);
    CHECK_INT(sockets_to(race.slow), 0, "freeing the context ends what was under way");
    server_stop(race.slow);
    server_stop(race.live);
}

static double elapsed(void) {
    return seconds_now() - race.begin;
}

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
    race.finished = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(race.good > 100, "checkouts succeed all the time");
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

/* One thread probes the slow host when its blacklisting ends; the others stay away from it. */
static void slow_host_is_probed_once_a_blacklisting(void) {
    pthread_t threads[THREADS];
    int at_first;

    begin("connection_timeout = 1\nblacklist_expiretime = 2");
    start_threads(threads);
    CHECK(EVENTUALLY(blacklisted_until(race.ctx, race.slow) != 0), "at its deadline it is out");
    CHECK(elapsed() > 0.9 && elapsed() < patience(4), "not before, and not long after");
    at_first = connects_to(race.slow);
    CHECK(at_first <= THREADS, "until then each thread has tried it once at most");
    CHECK(EVENTUALLY(sockets_to(race.slow) == 0), "its attempts end");
    CHECK(EVENTUALLY(connects_to(race.slow) > at_first), "when its time is up it is probed");
    sleep_ms(500);
    CHECK_INT(connects_to(race.slow), at_first + 1,
              "by one attempt, whatever the number of threads");
    CHECK(EVENTUALLY(blacklisted_until(race.ctx, race.slow) != 0), "which fails: it is out again");
    CHECK(EVENTUALLY(connects_to(race.slow) > at_first + 1), "and probed again");
    sleep_ms(500);
    CHECK_INT(connects_to(race.slow), at_first + 2, "once more by one");
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
          "each of which takes its second");
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
    CHECK(seconds_now() - healed < patience(2 + 1) + 1, "as soon as its blacklisting has ended");
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
    CHECK(seconds_now() - began < patience(4.5), "long before the others time out");
    CHECK_INT(hosts_available(race.ctx), 3, "and nobody is out yet");
    dpl_ctx_free(race.ctx);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(sockets_to(others[i]), 0, "nothing is left of host %d", i);
        server_stop(others[i]);
    }
}

/* ---- what is left behind ----------------------------------------------------------- */

/* Leaves one attempt parked: the slow host was tried, and the live one served. */
static void park_one(void) {
    while (connects_to(race.slow) == 0)
        REQUIRE(answered(race.ctx, 1), "the live host answers");
    REQUIRE(sockets_to(race.slow) == 1, "an attempt is under way that nobody waits for");
    CHECK_INT(race.ctx->n_conn_fds, 2, "it counts as a connection");
}

static void parked_attempt_ends_at_its_deadline(void) {
    dpl_conn_t *conn;

    begin("connection_timeout = 1");
    park_one();
    conn = checkout(race.ctx);
    REQUIRE(conn, "the live host is connected to");
    sleep_ms(1200);
    dpl_conn_release(conn);
    CHECK_INT(sockets_to(race.slow), 0, "past its deadline the next call, a release, ends it");
    CHECK_INT(race.ctx->n_conn_fds, 1, "and it counts no more");
    CHECK(blacklisted_until(race.ctx, race.slow) != 0, "the slow host is out");
    end();
}

static void parked_attempt_becomes_an_idle_connection(void) {
    long accepted;

    begin("connection_timeout = 8");
    park_one();
    heal(race.slow);
    CHECK(EVENTUALLY(answered(race.ctx, 1) && server_requests(race.slow) > 0),
          "the slow host answers after all, and is asked");
    accepted = server_accepted(race.slow);
    CHECK_INT(connects_to(race.slow), 1, "over the connection that was parked");
    CHECK(answered(race.ctx, 2) && answered(race.ctx, 3), "both hosts answer");
    CHECK_INT(server_accepted(race.slow), accepted, "on connections that they have");
    end();
}

static void forked_child_has_no_parked_attempt(void) {
    int status = -1;
    pid_t child;

    begin("connection_timeout = 8");
    park_one();
    child = fork();
    if (child == 0) {
        bool good;

        sleep_ms(20); /* parked attempts are looked at once a tick of the clock */
        good = answered(race.ctx, 1);
        /* It may have made an attempt of its own. What is executed has no leak to check for. */
        if (good && sockets_to(race.slow) == connects_to(race.slow) - 1)
            execl("/bin/true", "true", NULL);
        _exit(EXIT_FAILURE);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0, "a forked child asks the live host, and closes its copy");
    CHECK_INT(sockets_to(race.slow), 1, "the parent still has the attempt");
    heal(race.slow);
    CHECK(EVENTUALLY(answered(race.ctx, 1) && server_requests(race.slow) > 0), "which succeeds");
    CHECK_INT(connects_to(race.slow), 1, "undisturbed");
    end();
}

/* ---- few connections --------------------------------------------------------------- */

static void slow_host_gives_way_at_the_limit(void) {
    begin("connection_timeout = 8");
    race.ctx->n_conn_max = 1;
    while (connects_to(race.slow) == 0)
        REQUIRE(answered(race.ctx, 1), "with one connection allowed, the live host answers");
    CHECK_INT(sockets_to(race.slow), 0, "the slow one has been tried, and has given way");
    CHECK_INT(race.ctx->n_conn_fds, 1, "one connection is open");
    CHECK_INT(most_sockets(), 1, "there never were more");
    for (int i = 0; i < 10; i++)
        REQUIRE(answered(race.ctx, i), "the live host goes on answering");
    CHECK_INT(connects_to(race.slow), 1, "and nobody tries the slow one again so soon");
    CHECK_INT(hosts_available(race.ctx), 2, "though it is not blamed for the limit");
    end();
}

static void parked_attempt_gives_way_at_the_limit(void) {
    dpl_conn_t *conns[2];

    begin("connection_timeout = 8");
    park_one();
    race.ctx->n_conn_max = 2;
    for (int i = 0; i < 2; i++)
        REQUIRE((conns[i] = checkout(race.ctx)) != NULL, "both connections can be had");
    CHECK_INT(sockets_to(race.slow), 0, "the attempt that nobody waits for has given way");
    CHECK(checkout(race.ctx) == NULL, "a third is one too many");
    CHECK_INT(connects_to(race.slow), 1, "the slow host was not tried again");
    for (int i = 0; i < 2; i++)
        dpl_conn_release(conns[i]);
    end();
}

static atomic_long most_shown;

static void *watch_count(void *unused) {
    while (!race.finished) {
        int shown = *(volatile int *)&race.ctx->n_conn_fds;

        most_shown = shown > most_shown ? shown : most_shown;
        sched_yield();
    }
    return unused;
}

static void *check_out_within_limit(void *unused) {
    while (!race.finished) {
        dpl_req_t *req = request_new(race.ctx);
        dpl_conn_t *conn = NULL;
        dpl_status_t status = dpl_try_connect(race.ctx, req, &conn);

        race.good += status == DPL_SUCCESS && answered_on(conn, 1);
        race.bad += status != DPL_SUCCESS && status != DPL_ELIMIT;
        race.too_long += status == DPL_ELIMIT;
        if (conn && race.good % 7 == 0)
            dpl_conn_terminate(conn);
        else if (conn)
            dpl_conn_release(conn);
        dpl_req_free(req);
        sleep_ms(1);
    }
    return unused;
}

/* More threads than connections, of which attempts on the slow host hold some. */
static void limit_holds_whatever_is_under_way(void) {
    struct server *other = server_answering(2);
    pthread_t threads[2 * THREADS];
    pthread_t watcher;

    race.slow = slow_server();
    race.live = server_answering(1);
    sockets_watch(race.live);
    sockets_watch(other);
    race.ctx = context_over_servers((struct server *[]){race.slow, race.live, other}, 3,
                                    "connection_timeout = 1\nblacklist_expiretime = 1");
    race.ctx->n_conn_max = THREADS;
    pthread_create(&watcher, NULL, watch_count, NULL);
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_create(&threads[i], NULL, check_out_within_limit, NULL);
    sleep_ms(soak_wanted() ? 15000 : 3000);
    race.finished = true;
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(watcher, NULL);
    fprintf(stderr, "# %ld answered, %ld at the limit, %d connects to the slow host\n", race.good,
            race.too_long, connects_to(race.slow));
    CHECK(race.good > 100, "twice as many threads as connections, and requests are answered");
    CHECK_INT(race.bad, 0, "or are one too many");
    CHECK(race.too_long > 0, "which happens");
    CHECK(connects_to(race.slow) > 0, "the slow host is tried");
    CHECK_INT(most_sockets(), THREADS, "never are there more sockets than the limit");
    CHECK_INT(most_shown, THREADS, "nor more in n_conn_fds");
    server_stop(other);
    end();
}

int main(void) {
    test_begin("races");
    RUN(slow_host_costs_each_thread_one_head_start);
    RUN(slow_host_is_probed_once_a_blacklisting);
    RUN(one_attempt_at_a_time_without_a_blacklisting);
    RUN(healed_host_comes_back);
    RUN(first_that_answers_serves);
    RUN(parked_attempt_ends_at_its_deadline);
    RUN(parked_attempt_becomes_an_idle_connection);
    RUN(forked_child_has_no_parked_attempt);
    RUN(slow_host_gives_way_at_the_limit);
    RUN(parked_attempt_gives_way_at_the_limit);
    RUN(limit_holds_whatever_is_under_way);
    return test_end();
}
