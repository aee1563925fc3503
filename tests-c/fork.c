/* A process that forks: the child keeps its hands off the connections of its parent. */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

static struct server *server;
static dpl_ctx_t *ctx;

/* The library's first look-up reads a variable of the environment. This makes it wait there. */
static atomic_bool waits_for_variable, waits_now;

char *getenv(const char *name) {
    static char *(*of_libc)(const char *);

    if (!of_libc)
        *(void **)&of_libc = dlsym(RTLD_NEXT, "getenv");
    if (waits_for_variable && strcmp(name, "DPLX_LOOK_UP") == 0)
        for (waits_now = true; waits_for_variable;)
            sleep_ms(1);
    return of_libc(name);
}

static void begin(void) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
}

static void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Runs the act in a child; its exit status is the result. */
static pid_t in_child(bool (*act)(dpl_conn_t *), dpl_conn_t *conn) {
    pid_t child = fork();

    if (child == 0) {
        alarm((unsigned)patience(20));
        end_child(act(conn));
    }
    return child;
}

static bool ask_five_times(dpl_conn_t *unused) {
    bool good = true;

    (void)unused;
    for (int i = 0; i < 5; i++)
        good = answered(ctx, 100 + i) && good;
    return good;
}

static bool ask_and_free(dpl_conn_t *unused) {
    bool good = ask_five_times(unused);

    dpl_ctx_free(ctx);
    return good;
}

static void check_parent_keeps_its_idle(bool (*act)(dpl_conn_t *)) {
    int good = 0;

    begin();
    REQUIRE(leave_idle(ctx, 3), "three connections are idle");
    CHECK(ended_well(in_child(act, NULL)), "the child's requests are answered");
    CHECK_INT(server_accepted(server), 4, "by a connection of its own");
    for (int i = 0; i < 10; i++)
        good += answered(ctx, i);
    CHECK_INT(good, 10, "the parent's too");
    CHECK_INT(server_accepted(server), 4, "by those it had");
    CHECK_INT(ctx->n_conn_fds, 3, "which it still has");
    end();
}

static void child_connects_anew(void) {
    check_parent_keeps_its_idle(ask_five_times);
}

static void child_may_free_the_context(void) {
    check_parent_keeps_its_idle(ask_and_free);
}

static void both_go_on_at_once(void) {
    pid_t children[4];
    int good = 0;

    begin();
    REQUIRE(leave_idle(ctx, 2), "two connections are idle");
    for (int i = 0; i < 4; i++)
        children[i] = in_child(ask_five_times, NULL);
    for (int i = 0; i < 50; i++)
        good += answered(ctx, i);
    CHECK_INT(good, 50, "the parent's requests are answered meanwhile");
    for (int i = 0; i < 4; i++)
        CHECK(ended_well(children[i]), "those of child %d are", i + 1);
    end();
}

/* ---- a connection in use at the fork ----------------------------------------------- */

static bool give_back(dpl_conn_t *conn) {
    dpl_conn_release(conn);
    return answered(ctx, 100);
}

static bool terminate(dpl_conn_t *conn) {
    dpl_conn_terminate(conn);
    return answered(ctx, 100);
}

static void check_parent_goes_on(bool (*act)(dpl_conn_t *)) {
    dpl_conn_t *conn;

    begin();
    conn = checkout(ctx);
    REQUIRE(conn && answered_on(conn, 1), "a connection is in use");
    CHECK(ended_well(in_child(act, conn)), "the child gives its copy back, and is answered");
    CHECK_INT(server_accepted(server), 2, "by a connection of its own");
    CHECK(answered_on(conn, 2), "the parent goes on with its own");
    dpl_conn_release(conn);
    CHECK(answered(ctx, 3), "and reuses it");
    CHECK_INT(server_accepted(server), 2, "as before");
    end();
}

static void child_may_release_what_was_in_use(void) {
    check_parent_goes_on(give_back);
}

static void child_may_terminate_what_was_in_use(void) {
    check_parent_goes_on(terminate);
}

static bool has_room_for_its_own(dpl_conn_t *unused) {
    (void)unused;
    return ctx->n_conn_fds == 0 && leave_idle(ctx, 2) && ctx->n_conn_fds == 2;
}

static void child_counts_its_own_connections(void) {
    dpl_conn_t *conns[2];

    begin();
    ctx->n_conn_max = 2;
    for (int i = 0; i < 2; i++)
        conns[i] = checkout(ctx);
    REQUIRE(conns[0] && conns[1], "all connections that are allowed are in use");
    CHECK(ended_well(in_child(has_room_for_its_own, NULL)), "the child is allowed as many again");
    CHECK_INT(ctx->n_conn_fds, 2, "the parent still has its own");
    for (int i = 0; i < 2; i++)
        dpl_conn_release(conns[i]);
    end();
}

/* ---- a fork while other threads are at work ---------------------------------------- */

enum { BUSY_THREADS = 4 };

struct busy_thread {
    pthread_t thread;
    int failures;
};

static atomic_bool finished;

/* Without a request in between a thread is in the library nearly all the time, and then often
 * enough under a lock; over TLS, when it connects, under one of OpenSSL's. */
static void *check_out_all_the_time(void *arg) {
    struct busy_thread *self = arg;
    dpl_req_t *req = request_new(ctx);

    for (int i = 0; !finished; i++) {
        dpl_conn_t *conn = NULL;

        self->failures += dpl_try_connect(ctx, req, &conn) != DPL_SUCCESS;
        (i % 4 ? dpl_conn_release : dpl_conn_terminate)(conn);
    }
    dpl_req_free(req);
    return NULL;
}

/* All of them want the same lock, so that nearly always some wait for it. */
static void *count_hosts_all_the_time(void *arg) {
    struct busy_thread *self = arg;

    while (!finished)
        self->failures += dpl_addrlist_count(ctx->addrlist) != 1;
    return NULL;
}

static void start_busy_threads(struct busy_thread threads[BUSY_THREADS], void *(*run)(void *)) {
    finished = false;
    for (int i = 0; i < BUSY_THREADS; i++) {
        threads[i].failures = 0;
        pthread_create(&threads[i].thread, NULL, run, &threads[i]);
    }
}

/* Number of their calls that failed. */
static int stop_busy_threads(struct busy_thread threads[BUSY_THREADS]) {
    int failures = 0;

    finished = true;
    for (int i = 0; i < BUSY_THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        failures += threads[i].failures;
    }
    return failures;
}

/* The child comes by every lock that a checkout takes. */
static bool ask_often(dpl_conn_t *unused) {
    int good = 0;

    (void)unused;
    for (int i = 0; i < 3; i++)
        good += answered(ctx, 100 + i);
    return good == 3;
}

/* The child's own threads wait for each other, and so come by whatever a lock keeps elsewhere. */
static bool count_from_threads(dpl_conn_t *unused) {
    struct busy_thread threads[BUSY_THREADS];

    (void)unused;
    start_busy_threads(threads, count_hosts_all_the_time);
    sleep_ms(5);
    return stop_busy_threads(threads) == 0;
}

/*
 * A server in a process of its own: where it is on threads of this one, a fork over TLS may leave
 * the child with a lock of OpenSSL's that the server holds, which is nothing that a client could
 * prevent.
 */
static pid_t begin_with_server_elsewhere(void) {
    char name[80] = "";
    int names[2];
    pid_t elsewhere;

    REQUIRE(pipe(names) == 0, "a pipe is made");
    authority_file(); /* the same for both */
    elsewhere = fork();
    if (elsewhere == 0) {
        const char *own = server_name(server_answering(1));

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(names[1], own, strlen(own)) > 0)
            pause();
        _exit(EXIT_FAILURE);
    }
    REQUIRE(read(names[0], name, sizeof name - 1) > 0, "a server runs elsewhere");
    close(names[0]);
    close(names[1]);
    ctx = context_over(name, "");
    REQUIRE(ctx, "a context is made");
    return elsewhere;
}

/* As many children as it takes to catch a lock. */
static void check_busy_parents_children(void *(*busy)(void *), bool (*act)(dpl_conn_t *)) {
    struct busy_thread threads[BUSY_THREADS];
    pid_t elsewhere = begin_with_server_elsewhere();
    double until = seconds_now() + (soak_wanted() ? 60 : 4);
    int good = 0;
    int children = 0;

    start_busy_threads(threads, busy);
    for (; children == good && seconds_now() < until; children++)
        good += ended_well(in_child(act, NULL));
    fprintf(stderr, "# %d children\n", children);
    CHECK_INT(stop_busy_threads(threads), 0, "the threads of a busy parent are answered");
    CHECK(children > 0 && good == children, "so are all of its children");
    dpl_ctx_free(ctx);
    kill(elsewhere, SIGKILL);
    waitpid(elsewhere, NULL, 0);
}

static void no_lock_is_inherited(void) {
    check_busy_parents_children(check_out_all_the_time, ask_often);
}

static void no_queue_for_a_lock_is_inherited(void) {
    check_busy_parents_children(count_hosts_all_the_time, count_from_threads);
}

/* A probe is made by one thread, while all others wait for its verdict. */
static void *probe(void *unused) {
    dpl_conn_t *conn = checkout(ctx);

    (void)unused;
    dpl_conn_release(conn);
    return NULL;
}

static bool ask_until_answered(dpl_conn_t *unused) {
    (void)unused;
    return EVENTUALLY(answered(ctx, 1));
}

static void probe_of_the_parent_is_not_waited_for(void) {
    pthread_t prober;
    pid_t child;

    begin();
    ctx->conn_timeout = 30;
    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(server), 1);
    server_go_deaf(server);
    sleep_ms(1500); /* the blacklisting ends; it is rounded up to the clock's next second */
    pthread_create(&prober, NULL, probe, NULL);
    sleep_ms(200);
    child = in_child(ask_until_answered, NULL);
    server_restart(server);
    CHECK(ended_well(child), "the child makes a probe of its own");
    pthread_join(prober, NULL);
    CHECK(answered(ctx, 1), "so did the parent");
    end();
}

static bool look_up(dpl_conn_t *unused) {
    dpl_conn_t *conn = dpl_conn_open_host(ctx, AF_INET, "localhost", server_port(server));

    (void)unused;
    dpl_conn_release(conn);
    return conn != NULL;
}

static void *look_up_in_thread(void *unused) {
    (void)unused;
    look_up(NULL);
    return NULL;
}

static bool look_up_without_waiting(dpl_conn_t *unused) {
    waits_for_variable = false;
    return look_up(unused);
}

static void first_look_up_is_under_way(void) {
    pthread_t thread;
    pid_t child;

    begin();
    waits_for_variable = true;
    pthread_create(&thread, NULL, look_up_in_thread, NULL);
    REQUIRE(EVENTUALLY(waits_now), "it reads its variable of the environment");
    child = in_child(look_up_without_waiting, NULL);
    CHECK(ended_well(child), "the child does not wait for the parent's thread");
    waits_for_variable = false;
    pthread_join(thread, NULL);
    CHECK(look_up(NULL), "the parent looks names up");
    end();
}

int main(void) {
    test_begin("fork");
    RUN(first_look_up_is_under_way); /* before any other */
    RUN(child_connects_anew);
    RUN(child_may_free_the_context);
    RUN(both_go_on_at_once);
    RUN(child_may_release_what_was_in_use);
    RUN(child_may_terminate_what_was_in_use);
    RUN(child_counts_its_own_connections);
    RUN(probe_of_the_parent_is_not_waited_for);
    RUN(no_lock_is_inherited);
    RUN(no_queue_for_a_lock_is_inherited);
    return test_end();
}
