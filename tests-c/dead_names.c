/* Name servers that do not answer: no call waits for them past its timeout, nor at all if an address is
 * known. A look-up has a thread of its own, which nobody notices. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"

/* ---- names under .test --------------------------------------------------------------- */

/* Those that begin with "dead" get no answer until it is false. */
static atomic_bool silent = true;

/* All others too. */
static atomic_bool all_silent;

/* An answer takes so long. */
static atomic_int answer_ms;

/* What they lead to. */
static const char *_Atomic leads_to = "127.0.0.1";
static const char *_Atomic leads_also_to; /* NULL: nowhere else */

static atomic_int look_ups, under_way, most_under_way;
static _Atomic pid_t asked_by;
static sigset_t mask_of_asker;

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void ask_name_server(const char *name) {
    int now = ++under_way;

    look_ups++;
    asked_by = gettid();
    pthread_sigmask(SIG_BLOCK, NULL, &mask_of_asker);
    while (now > most_under_way)
        most_under_way = now;
    sleep_ms(answer_ms);
    while (all_silent || (silent && strncmp(name, "dead", 4) == 0))
        sleep_ms(5);
    under_way--;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    look_up *libc_one = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");

    const char *also;
    int outcome;

    if (!name || !ends_with(name, ".test") || (hints && hints->ai_flags & AI_NUMERICHOST))
        return libc_one(name, service, hints, found);
    ask_name_server(name);
    also = leads_also_to;
    outcome = libc_one(leads_to, service, hints, found);
    if (outcome != 0 || !also)
        return outcome;
    return libc_one(also, service, hints, &(*found)->ai_next);
}

/* The thread that cannot start another one. */
static _Atomic pid_t threadless;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (gettid() == threadless)
        return EAGAIN;
    return ((create *)dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, run, argument);
}

/* ---- what the cases share ------------------------------------------------------------ */

static int threads_now(void) {
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n - 2;
}

/* A name is looked up at most once in 5 s. */
static void let_look_ups_expire(void) {
    sleep_ms(5200);
}

static dpl_ctx_t *context_named(const char *names, const struct server *server, const char *more) {
    char hosts[1024] = "", *end = hosts;

    for (const char *name = names; *name; name += strcspn(name, " "), name += *name == ' ')
        end += sprintf(end, "%s%.*s:%s", end == hosts ? "" : ";", (int)strcspn(name, " "), name,
                       server_port(server));
    return context_over(hosts, more);
}

/* Adds a host that was not looked up. */
static void add_host(dpl_ctx_t *ctx, const char *name, const struct server *server) {
    dpl_addr_t *addr = calloc(1, sizeof *addr);

    addr->host = strdup(name);
    addr->portstr = strdup(server_port(server));
    addr->port = (u_short)atoi(addr->portstr);
    dpl_addrlist_lock(ctx->addrlist);
    dpl_addrlist_add_nolock(ctx->addrlist, addr);
    dpl_addrlist_unlock(ctx->addrlist);
}

static struct server *server_of_names(void) {
    return server_start((struct server_options){
        .id = 1, .tls_names = "DNS:a.test,DNS:*.a.test,DNS:dead.test,IP:127.0.0.1"});
}

static dpl_status_t ask_bucket(dpl_ctx_t *ctx, const char *bucket) {
    dpl_conn_t *conn = NULL;
    dpl_status_t status = try_connect_to(ctx, bucket, &conn);

    if (conn)
        dpl_conn_terminate(conn);
    return status;
}

/* How many of so many requests are answered, each on a new connection. */
static int count_answered_anew(dpl_ctx_t *ctx, int calls) {
    int good = 0;

    for (int i = 0; i < calls; i++) {
        dpl_conn_t *conn = checkout(ctx);

        good += conn && answered_on(conn, i);
        if (conn)
            dpl_conn_terminate(conn);
    }
    return good;
}

/* ---- no address is known ------------------------------------------------------------- */

static void call_ends_at_its_timeout(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "connection_timeout = 1");
    double begin;

    REQUIRE(ctx, "a context over a name is made");
    logs_collect();
    begin = seconds_now();
    CHECK_STATUS(ask_bucket(ctx, "dead"), DPL_FAILURE, "a virtual host has no name server");
    CHECK(in_time(begin, 4), "the call ends in time");
    CHECK_INT(under_way, 1, "while its look-up goes on");
    CHECK_INT(logs_with("no address for dead.a.test: name look-up timed out"), 1, "which is logged");
    CHECK_INT(hosts_available(ctx), 1, "the host is not to blame");
    begin = seconds_now();
    CHECK(dpl_conn_open_host(ctx, AF_UNSPEC, "dead.test", server_port(server)) == NULL,
          "a host by name has none either");
    CHECK(in_time(begin, 4), "the call ends in time");
    begin = seconds_now();
    dpl_blacklist_host(ctx, "dead.alias.test", server_port(server));
    CHECK(in_time(begin, 4), "a host is blacklisted by such a name in time");
    CHECK_INT(ctx->n_conn_fds, 0, "nothing is counted");
    silent = false;
    CHECK(EVENTUALLY(under_way == 0), "the name server answers");
    CHECK_STATUS(ask_bucket(ctx, "dead"), DPL_SUCCESS, "then the virtual host does");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void call_ends_in_time_with_several_dead_names(void) {
    enum { DEAD = 12 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "connection_timeout = 1");
    double begin;

    REQUIRE(ctx, "a context is made");
    for (int i = 0; i < DEAD; i++) {
        char name[32];

        snprintf(name, sizeof name, "dead%d.test", i);
        add_host(ctx, name, server);
    }
    server_kill(server);
    logs_collect();
    begin = seconds_now();
    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "a server is killed, and the names of twelve are dead");
    /* If each had its whole timeout after the head starts of those before, it would be 4 seconds. */
    CHECK(in_time(begin, 2.5), "the call ends in time");
    for (int i = 0; i < DEAD && hosts_available(ctx) > 0; i++)
        ask(ctx, i);
    CHECK_INT(hosts_available(ctx), 0, "after some calls all hosts are out");
    CHECK(logs_with("name look-up timed out") >= DEAD, "their names are the reason");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void good_host_serves_meanwhile(void) {
    enum { CALLS = 20 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "");
    double begin;

    REQUIRE(ctx, "a context is made");
    add_host(ctx, "dead.test", server);
    begin = seconds_now();
    CHECK_INT(count_answered_anew(ctx, CALLS), CALLS, "all calls are served by the other host");
    CHECK(in_time(begin, 3), "only one of them had to wait");
    CHECK_INT(under_way, 1, "there is one look-up");
    silent = false;
    CHECK(EVENTUALLY(under_way == 0), "the name server answers");
    CHECK(answered(ctx, 1) && answered(ctx, 2), "requests are served");
    CHECK_INT(hosts_available(ctx), 2, "by both hosts");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- an address is known ------------------------------------------------------------- */

static void known_address_is_used_at_once(void) {
    enum { CALLS = 100 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "");
    double begin;
    int before;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    let_look_ups_expire();
    all_silent = true;
    before = look_ups;
    begin = seconds_now();
    CHECK_INT(count_answered_anew(ctx, CALLS), CALLS, "connections are made while its name server is silent");
    CHECK(in_time(begin, 4), "without waiting for it");
    CHECK_INT(look_ups - before, 1, "it is asked once");
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void *check_out(void *ctx) {
    return checkout(ctx);
}

static void new_address_is_tried_before_anybody_is_blamed(void) {
    struct server *before = server_of_names(), *after;
    /* A tenth of that is the time for the name server. */
    dpl_ctx_t *ctx = context_named("a.test", before, "connection_timeout = 50");
    pthread_t thread;
    void *conn;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    after = server_start((struct server_options){
        .address = "127.0.0.2", .port = atoi(server_port(before)), .id = 2, .tls_names = "DNS:a.test"});
    server_kill(before);
    let_look_ups_expire();
    all_silent = true;
    leads_to = "127.0.0.2";
    logs_collect();
    pthread_create(&thread, NULL, check_out, ctx);
    CHECK(EVENTUALLY(under_way == 1), "its address refuses, and a look-up is under way");
    sleep_ms(300);
    CHECK_INT(hosts_available(ctx), 1, "the host is not blamed yet");
    all_silent = false;
    pthread_join(thread, &conn);
    REQUIRE(conn, "the call gets a connection");
    CHECK_INT(ask_on(conn, 1).server, 2, "to the new address");
    dpl_conn_release(conn);
    CHECK_INT(hosts_available(ctx), 1, "nobody is blamed");
    CHECK_INT(logs_count(), 0, "and nothing is logged");
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(after);
}

static void dead_name_server_delays_a_refusal_by_a_tenth_of_the_timeout(void) {
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("a.test", server, "connection_timeout = 20");
    double begin;

    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    server_kill(server);
    let_look_ups_expire();
    all_silent = true;
    begin = seconds_now();
    CHECK(checkout(ctx) == NULL, "its address refuses, and its name server is silent");
    CHECK(in_time(begin, 10), "the call does not wait for its whole timeout");
    CHECK(seconds_now() - begin > 1.9, "but gives the name server a tenth of it");
    CHECK_INT(hosts_available(ctx), 0, "then the host is blacklisted");
    all_silent = false;
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void new_address_is_tried_beside_silent_ones(void) {
    struct server *before = server_of_names(), *also, *after;
    dpl_ctx_t *ctx;
    pthread_t thread;
    double begin;
    void *conn;

    also = server_start((struct server_options){
        .address = "127.0.0.3", .port = atoi(server_port(before)), .tls_names = "DNS:a.test"});
    leads_also_to = "127.0.0.3";
    ctx = context_named("a.test", before, "connection_timeout = 20");
    REQUIRE(ctx && answered(ctx, 1), "a host by name answers");
    after = server_start((struct server_options){
        .address = "127.0.0.2", .port = atoi(server_port(before)), .id = 2, .tls_names = "DNS:a.test"});
    server_close_connections(before);
    server_go_deaf(before);
    server_go_deaf(also);
    let_look_ups_expire();
    all_silent = true;
    leads_to = "127.0.0.2";
    leads_also_to = NULL;
    pthread_create(&thread, NULL, check_out, ctx);
    CHECK(EVENTUALLY(under_way == 1), "its addresses are silent, and a look-up is under way");
    sleep_ms(800);
    all_silent = false;
    begin = seconds_now();
    pthread_join(thread, &conn);
    REQUIRE(conn, "the call gets a connection");
    CHECK(in_time(begin, 5), "as soon as the name server answers");
    CHECK_INT(ask_on(conn, 1).server, 2, "to the new address");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(before);
    server_stop(also);
    server_stop(after);
}

/* ---- many at once -------------------------------------------------------------------- */

static void *open_dead(void *ctx) {
    return dpl_conn_open_host(ctx, AF_UNSPEC, "dead.test", "80");
}

static void all_who_want_a_name_share_its_look_up(void) {
    enum { THREADS = 8 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx[2];
    pthread_t threads[THREADS];
    int before, opened = 0;

    for (int i = 0; i < 2; i++)
        REQUIRE((ctx[i] = context_named("127.0.0.1", server, "connection_timeout = 1")), "context %d", i);
    before = look_ups;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, open_dead, ctx[i % 2]);
    for (int i = 0; i < THREADS; i++) {
        void *conn;

        pthread_join(threads[i], &conn);
        opened += conn != NULL;
    }
    CHECK_INT(opened, 0, "threads of two contexts open a dead name");
    CHECK_INT(look_ups - before, 1, "it is looked up once");
    dpl_ctx_free(ctx[0]);
    dpl_ctx_free(ctx[1]);
    server_stop(server);
}

/* Sets a list of that many names. */
static dpl_status_t set_names(dpl_ctx_t *ctx, const char *prefix, int n) {
    static char names[16 * 1024];
    char *end = names;

    for (int i = 0; i < n; i++)
        end += sprintf(end, "%s%d.test:%d,", prefix, i, 1000 + i);
    return dpl_addrlist_set_from_str(ctx->addrlist, names);
}

static void names_of_a_profile_are_looked_up_side_by_side(void) {
    struct server *server = server_of_names();
    double begin = seconds_now();
    dpl_ctx_t *ctx;

    ctx = context_named("dead1.test dead2.test dead3.test 127.0.0.1", server, "connection_timeout = 5");
    REQUIRE(ctx, "a profile with three dead names and an address is loaded");
    CHECK(in_time(begin, 9), "within one timeout");
    begin = seconds_now();
    CHECK(dpl_addrlist_set_from_str(ctx->addrlist, "dead7.test,dead8.test,dead9.test") != DPL_SUCCESS,
          "a list of dead names is not set");
    CHECK(in_time(begin, 9), "within one timeout");
    CHECK(answered(ctx, 1), "the address answers");
    answer_ms = 2000;
    CHECK_STATUS(set_names(ctx, "slow", 3), DPL_SUCCESS, "a list of three slow names is set");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void threads_do_not_pile_up(void) {
    enum { NAMES = 200, MOST = 64 };
    struct server *server = server_of_names();
    dpl_ctx_t *ctx = context_named("127.0.0.1", server, "");
    int before = threads_now();

    REQUIRE(ctx, "a context is made");
    answer_ms = 20;
    CHECK_STATUS(set_names(ctx, "name", NAMES), DPL_SUCCESS, "a list of 200 names is set");
    CHECK_INT(dpl_addrlist_count_nolock(ctx->addrlist), NAMES, "all of them");
    CHECK(most_under_way > 1 && most_under_way <= MOST, "some are looked up at the same time");
    CHECK(set_names(ctx, "dead", NAMES) != DPL_SUCCESS, "a list of 200 dead names is not");
    CHECK(threads_now() - before <= MOST, "their look-ups have a limited number of threads");
    logs_collect();
    CHECK_STATUS(dpl_addrlist_add(ctx->addrlist, "deadlast.test", "80"), DPL_FAILURE, "one more waits");
    CHECK_INT(logs_with("too many look-ups of other names are under way"), 1, "which is logged");
    silent = false;
    CHECK(EVENTUALLY(threads_now() == before), "when the name server answers, all threads end");
    CHECK(dpl_addrlist_add(ctx->addrlist, "deadlast.test", "80") == DPL_SUCCESS, "names are found again");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- the process --------------------------------------------------------------------- */

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

/* A bit for each signal of a set. */
static uint64_t signals_in(const sigset_t *set) {
    uint64_t bits = 0;

    for (int i = 1; i <= SIGRTMAX; i++)
        bits |= (uint64_t)(sigismember(set, i) == 1) << (i - 1);
    return bits;
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
    CHECK(signals_in(&mask_of_asker) == all_signals(), "its thread blocks all signals");
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
    test_begin("dead_names");
    RUN(call_ends_at_its_timeout);
    RUN(call_ends_in_time_with_several_dead_names);
    RUN(good_host_serves_meanwhile);
    RUN(known_address_is_used_at_once);
    RUN(new_address_is_tried_before_anybody_is_blamed);
    RUN(dead_name_server_delays_a_refusal_by_a_tenth_of_the_timeout);
    RUN(new_address_is_tried_beside_silent_ones);
    RUN(all_who_want_a_name_share_its_look_up);
    RUN(names_of_a_profile_are_looked_up_side_by_side);
    RUN(threads_do_not_pile_up);
    RUN(process_exits_at_once);
    RUN(context_may_be_freed_meanwhile);
    RUN(forked_child_looks_up_by_itself);
    RUN(fork_waits_for_quick_look_ups_only);
    RUN(no_signal_handler_runs_in_the_thread);
    RUN(without_threads_the_caller_looks_up);
    RUN(lack_of_descriptors_is_nobodys_fault);
    return test_end();
}
