/* A process that forks: the child keeps its hands off the connections of its parent. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

static struct server *server;
static dpl_ctx_t *ctx;

static void begin(void) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
}

static void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

/*
 * What the child finds is its exit status. It has the memory of threads that it has not: no leak
 * check is to count that, and what is executed has nothing to check.
 */
static pid_t in_child(bool (*act)(dpl_conn_t *), dpl_conn_t *conn) {
    pid_t child = fork();

    if (child == 0) {
        alarm((unsigned)patience(20));
        if (act(conn))
            execl("/bin/true", "true", NULL);
        _exit(EXIT_FAILURE);
    }
    return child;
}

static bool ended_well(pid_t child) {
    int status = -1;

    return waitpid(child, &status, 0) == child && status == 0;
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

/* ---- a connection in use at the fork ------------------------------------------------------------
 */

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

/* ---- a fork while other threads are at work
 * ------------------------------------------------------- */

static volatile bool finished;

/* Without a request in between a thread is in the library nearly all the time, and then often
 * enough under a lock. */
static void *check_out_all_the_time(void *failures) {
    dpl_req_t *req = dpl_req_new(ctx);

    dpl_req_rm_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    while (!finished) {
        dpl_conn_t *conn = NULL;

        *(int *)failures += dpl_try_connect(ctx, req, &conn) != DPL_SUCCESS;
        dpl_conn_release(conn);
    }
    dpl_req_free(req);
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

static void no_lock_is_inherited(void) {
    pthread_t threads[4];
    int failures[4] = {0};
    int children =
        patience(1) > 1 ? 20 : 500; /* as many as it takes to catch a lock, and time allows */
    int good = 0;

    if (tls_wanted()) {
        check_skip("OpenSSL's own locks do not survive it");
        return;
    }
    begin();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, check_out_all_the_time, &failures[i]);
    for (int i = 0; i < children; i++)
        good += ended_well(in_child(ask_often, NULL));
    finished = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(good, children, "all children of a busy parent are answered");
    CHECK_INT(failures[0] + failures[1] + failures[2] + failures[3], 0, "so are its threads");
    end();
}

int main(void) {
    test_begin("fork");
    RUN(child_connects_anew);
    RUN(child_may_free_the_context);
    RUN(both_go_on_at_once);
    RUN(child_may_release_what_was_in_use);
    RUN(child_may_terminate_what_was_in_use);
    RUN(no_lock_is_inherited);
    return test_end();
}
