/* Connection attempts on a slow host that go on while nobody waits for them, and the limit of
 * connections. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/race.h"

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

static int traced_seconds;

static void take_trace(pid_t tid, unsigned level, const char *file, const char *func, int line,
                       char *message) {
    (void)tid, (void)level, (void)file, (void)func, (void)line;
    message = strstr(message, " is blacklisted for ");
    if (message)
        sscanf(message, " is blacklisted for %d s", &traced_seconds);
}

/* The call that finds it is late: the host is out from the deadline on. */
static void blacklisting_counts_from_the_deadline(void) {
    dpl_conn_t *conn;
    long left;

    begin("connection_timeout = 1\nblacklist_expiretime = 20");
    race.ctx->trace_func = take_trace;
    race.ctx->trace_level = DPL_TRACE_CONN;
    park_one();
    conn = checkout(race.ctx);
    REQUIRE(conn, "the live host is connected to");
    sleep_ms(3300);
    dpl_conn_release(conn);
    left = blacklisted_until(race.ctx, race.slow) - (long)time(NULL);
    CHECK(left > 0 && left <= 18, "C sees the time that is left");
    CHECK(traced_seconds > 0 && traced_seconds <= 18, "and so does the trace");
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

/* Over TLS the next call finds a TCP connection on which nobody has begun the handshake. */
static void parked_attempt_is_not_blamed_for_a_pause(void) {
    race.slow = server_start((struct server_options){.refuse = true, .behaviour = ANSWER});
    server_go_deaf(race.slow);
    sockets_watch(race.slow);
    race.live = server_answering(1);
    race.ctx = context_over_servers((struct server *[]){race.slow, race.live}, 2,
                                    "connection_timeout = 1");
    park_one();
    server_restart(race.slow);
    sleep_ms(4000); /* the kernel repeats its packet after 1 and 3 s */
    CHECK(answered(race.ctx, 1), "after a pause that is longer than the timeout the program goes on");
    CHECK(blacklisted_until(race.ctx, race.slow) == 0, "the slow host is not out");
    CHECK(EVENTUALLY(answered(race.ctx, 1) && server_requests(race.slow) > 0), "and is asked");
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

/* More threads than connections, and attempts on the slow host hold some of the connections. */
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
    CHECK(EVENTUALLY(race.good > 100),
          "twice as many threads as connections, and requests are answered");
    race.finished = true;
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(watcher, NULL);
    fprintf(stderr, "# %ld answered, %ld at the limit, %d connects to the slow host\n", race.good,
            race.too_long, connects_to(race.slow));
    CHECK_INT(race.bad, 0, "or are one too many");
    CHECK(race.too_long > 0, "which happens");
    CHECK(connects_to(race.slow) > 0, "the slow host is tried");
    CHECK_INT(most_sockets(), THREADS, "never are there more sockets than the limit");
    CHECK_INT(most_shown, THREADS, "nor more in n_conn_fds");
    server_stop(other);
    end();
}

int main(void) {
    test_begin("parked");
    RUN(parked_attempt_ends_at_its_deadline);
    RUN(blacklisting_counts_from_the_deadline);
    RUN(parked_attempt_becomes_an_idle_connection);
    RUN(parked_attempt_is_not_blamed_for_a_pause);
    RUN(forked_child_has_no_parked_attempt);
    RUN(slow_host_gives_way_at_the_limit);
    RUN(parked_attempt_gives_way_at_the_limit);
    RUN(limit_holds_whatever_is_under_way);
    return test_end();
}
