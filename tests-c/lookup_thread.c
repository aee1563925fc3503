/* The thread of a look-up: exits, forks and signals do not notice it, and where none can be had, none is needed. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/name_server.h"

/* The thread that cannot start another one. */
static _Atomic pid_t threadless;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (gettid() == threadless)
        return EAGAIN;
    return ((create *)dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, run, argument);
}

/* A context whose call has timed out while a look-up goes on. Without a server: a leak checker counts
 * what belongs to other threads. */
static dpl_ctx_t *context_during_look_up(void) {
    dpl_ctx_t *ctx = context_over("127.0.0.1:1", "connection_timeout = 1");

    if (ctx && dpl_conn_open_host(ctx, AF_UNSPEC, "dead.test", "1") == NULL && under_way == 1)
        return ctx;
    return NULL;
}

static void process_exits_at_once(void) {
    pid_t child = fork();
    double begin;
    int status;

    if (child == 0) {
        dpl_ctx_t *ctx = context_during_look_up();

        dpl_ctx_free(ctx);
        exit(ctx ? 7 : 1);
    }
    begin = seconds_now();
    CHECK_INT(waitpid(child, &status, 0), child, "a process exits during a look-up");
    CHECK(in_time(begin, 8), "at once");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "with its own status");
}

static void context_may_be_freed_meanwhile(void) {
    int before = threads_now();
    dpl_ctx_t *ctx = context_during_look_up();

    REQUIRE(ctx, "a look-up is under way");
    CHECK_INT(threads_now(), before + 1, "it has a thread");
    dpl_ctx_free(ctx);
    silent = false;
    CHECK(EVENTUALLY(threads_now() == before), "the context is freed, and the look-up ends");
}

static void forked_child_looks_up_by_itself(void) {
    struct server *server = server_of_names();
    const char *timeout = machine_is_slow() ? "connection_timeout = 10" : "connection_timeout = 1";
    dpl_ctx_t *ctx = context_named("a.test", server, timeout);
    pid_t child;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    CHECK_STATUS(ask_bucket(ctx, "dead"), DPL_FAILURE, "a virtual host has no name server");
    let_look_ups_expire();
    all_silent = true;
    server_close_connections(server);
    CHECK(answered(ctx, 2) && EVENTUALLY(under_way == 2), "two look-ups are under way");
    child = fork();
    if (child == 0) {
        bool good = threads_now() == 1 && under_way == 2;
        double begin = seconds_now();

        ctx->conn_timeout = 20;
        good &= answered(ctx, 3) && EVENTUALLY(under_way == 3);
        silent = all_silent = false;
        good &= ask_bucket(ctx, "dead") == DPL_SUCCESS && in_time(begin, 10);
        good &= answered(ctx, 4) && EVENTUALLY(threads_now() == 1);
        end_child(good);
    }
    CHECK(ended_well(child), "a child looks both names up by itself");
    CHECK(answered(ctx, 5), "its parent goes on");
    CHECK_INT(under_way, 2, "so do its look-ups");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* libc holds locks at the beginning and the end of a look-up, which no child could free. */
static void fork_waits_for_quick_look_ups_only(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "");
    double begin;
    pid_t child;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    let_look_ups_expire();
    server_close_connections(server);
    answer_ms = 12;
    CHECK(answered(ctx, 2), "a new connection is made");
    child = fork();
    if (child == 0)
        end_child(under_way == 0 || machine_is_slow());
    CHECK(ended_well(child), "a child begins when the look-up is over");
    let_look_ups_expire();
    server_close_connections(server);
    all_silent = true;
    CHECK(answered(ctx, 3) && EVENTUALLY(under_way == 1), "a look-up gets no answer");
    begin = seconds_now();
    child = fork();
    if (child == 0)
        end_child(under_way == 1);
    CHECK(ended_well(child) && in_time(begin, 2), "a child does not wait for it");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void on_signal(int number) {
    (void)number;
    asked_by = -gettid();
}

/* Those that can be blocked. */
static uint64_t all_signals(void) {
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    return signals_in(&all);
}

static void no_signal_handler_runs_in_the_thread(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t usr1, pending, before, after;
    dpl_ctx_t *ctx;

    sigaction(SIGUSR1, &action, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    REQUIRE((ctx = context_during_look_up()), "a look-up is under way");
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    CHECK(blocked_in_asker == all_signals(), "its thread blocks all signals");
    CHECK(signals_in(&before) == signals_in(&after), "the one that began it those that it did");
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    kill(getpid(), SIGUSR1);
    sleep_ms(50);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGUSR1), "a signal to the process stays pending");
    pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
    CHECK_INT(asked_by, -gettid(), "until the program's own thread takes it");
    dpl_ctx_free(ctx);
}

static void without_threads_the_caller_looks_up(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "");
    dpl_conn_t *conn;

    REQUIRE(ctx, "a context is made");
    threadless = gettid();
    conn = dpl_conn_open_host(ctx, AF_UNSPEC, "a.test", server_port(server));
    REQUIRE(conn, "a host by name is opened where no thread can be had");
    CHECK_INT(asked_by, gettid(), "the caller has looked it up");
    CHECK(answered_on(conn, 1), "it answers");
    dpl_conn_release(conn);
    threadless = 0;
    CHECK_STATUS(ask_bucket(ctx, "b"), DPL_FAILURE, "an address has no virtual hosts");
    CHECK_STATUS(dpl_addrlist_add(ctx->addrlist, "b.test", "80"), DPL_SUCCESS, "later there are threads");
    CHECK(asked_by != gettid(), "of which one looks up");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void lack_of_descriptors_is_nobodys_fault(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "");
    struct rlimit before, none;
    dpl_conn_t *conn = NULL;
    dpl_status_t status;

    REQUIRE(ctx, "a context is made");
    add_host(ctx, "dead.test", server);
    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(server), 100);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    status = try_connect(ctx, &conn);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_STATUS(status, DPL_ESYS, "a name is looked up without a descriptor to wait on");
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    silent = false;
    CHECK(EVENTUALLY(under_way == 0) && answered(ctx, 1), "with descriptors the host answers");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("lookup_thread");
    RUN(process_exits_at_once);
    RUN(context_may_be_freed_meanwhile);
    RUN(forked_child_looks_up_by_itself);
    RUN(fork_waits_for_quick_look_ups_only);
    RUN(no_signal_handler_runs_in_the_thread);
    RUN(without_threads_the_caller_looks_up);
    RUN(lack_of_descriptors_is_nobodys_fault);
    return test_end();
}
