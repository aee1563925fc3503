/* A process that forks while all kinds of calls are under way: no child hangs, none finds half of
 * a change, and the process itself goes on. */
#include <dlfcn.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
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

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Names under .test lead to one of two addresses, another one each time. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    static atomic_int calls;
    look_up *libc_one = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
    size_t len = name ? strlen(name) : 0;

    if (len > 5 && strcmp(name + len - 5, ".test") == 0)
        name = calls++ % 2 ? "127.0.0.1" : "127.0.0.2";
    return libc_one(name, service, hints, found);
}

static dpl_ctx_t *ctx;
static char port[8];
static atomic_bool finished;
static atomic_long calls_made;

/* Servers at both addresses, in a process of their own: see fork.c. */
static pid_t begin(void) {
    struct server_options options = {.tls_names = "DNS:farm.test,DNS:*.farm.test,DNS:*.test"};
    char hosts[64];
    int ports[2];
    pid_t elsewhere;

    REQUIRE(pipe(ports) == 0, "a pipe is made");
    authority_file(); /* the same for both */
    elsewhere = fork();
    if (elsewhere == 0) {
        struct server *first = server_start(options);
        const char *own = server_port(first);

        options.address = "127.0.0.2";
        options.port = atoi(own);
        server_start(options);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(ports[1], own, strlen(own)) > 0)
            pause();
        _exit(EXIT_FAILURE);
    }
    REQUIRE(read(ports[0], port, sizeof port - 1) > 0, "servers run elsewhere");
    close(ports[0]);
    close(ports[1]);
    snprintf(hosts, sizeof hosts, "farm.test:%s", port);
    ctx = context_over(hosts, "");
    REQUIRE(ctx, "a context is made");
    ctx->n_conn_max_hits = 3;
    finished = false;
    return elsewhere;
}

static void end(pid_t elsewhere) {
    dpl_ctx_free(ctx);
    kill(elsewhere, SIGKILL);
    waitpid(elsewhere, NULL, 0);
}

/* ---- what the threads do ----------------------------------------------------------- */

static void give_back(dpl_conn_t *conn, int i) {
    if (conn)
        (i % 4 ? dpl_conn_release : dpl_conn_terminate)(conn);
    calls_made++;
}

static void *check_out(void *unused) {
    dpl_req_t *req = request_new(ctx);

    for (int i = 0; !finished; i++) {
        dpl_conn_t *conn = NULL;

        dpl_try_connect(ctx, req, &conn);
        give_back(conn, i);
    }
    dpl_req_free(req);
    return unused;
}

static void *check_out_buckets(void *unused) {
    for (int i = 0; !finished; i++) {
        dpl_req_t *req = dpl_req_new(ctx);
        dpl_conn_t *conn = NULL;
        char bucket[16];

        snprintf(bucket, sizeof bucket, "b%d", i % 40);
        dpl_req_set_bucket(req, bucket);
        dpl_try_connect(ctx, req, &conn);
        give_back(conn, i);
        dpl_req_free(req);
    }
    return unused;
}

static void *open_hosts(void *unused) {
    for (int i = 0; !finished; i++) {
        char name[24];

        snprintf(name, sizeof name, "h%d.test", i % 40);
        give_back(dpl_conn_open_host(ctx, AF_INET, name, port), i);
    }
    return unused;
}

static void free_host(dpl_addr_t *addr) {
    free(addr->host);
    free(addr->portstr);
    free(addr->hbuf);
    free(addr->h);
    free(addr);
}

/* A second host comes and goes, and is out meanwhile, so that nobody waits for it. */
static void *change_the_list(void *unused) {
    while (!finished) {
        dpl_addr_t *addr;

        dpl_addrlist_add(ctx->addrlist, "127.0.0.9", port);
        dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.9", port, -1);
        free(dpl_addrlist_get(ctx->addrlist));
        dpl_addrlist_lock(ctx->addrlist);
        addr = dpl_addrlist_get_byname_nolock(ctx->addrlist, "127.0.0.9", port);
        if (addr)
            dpl_addrlist_remove_nolock(ctx->addrlist, addr);
        dpl_addrlist_unlock(ctx->addrlist);
        if (addr)
            free_host(addr);
        calls_made++;
    }
    return unused;
}

/* ---- what a child does ------------------------------------------------------------- */

/* The links of a BSD LIST lead back to where they come from. */
static bool list_is_whole(dpl_addrlist_t *list) {
    dpl_addr_t *addr;
    dpl_addr_t **link = &list->addr_list.lh_first;
    unsigned n = 0;

    dpl_addrlist_lock(list);
    for (; (addr = *link) && addr->list.le_prev == link && n < 100; n++)
        link = &addr->list.le_next;
    dpl_addrlist_unlock(list);
    return !addr && n == dpl_addrlist_count(list);
}

static void run_child(void) {
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_conn_t *conn = NULL;

    alarm((unsigned)patience(20));
    if (!list_is_whole(ctx->addrlist))
        _exit(2);
    for (int i = 0; i < 2; i++)
        dpl_conn_terminate(checkout(ctx));
    dpl_req_set_bucket(req, "b1");
    dpl_try_connect(ctx, req, &conn);
    dpl_conn_terminate(conn);
    dpl_conn_terminate(dpl_conn_open_host(ctx, AF_INET, "h1.test", port));
    execl("/bin/true", "true", NULL); /* leaves no memory to a leak check */
    _exit(3);
}

static void whatever_is_under_way(void) {
    void *(*const work[])(void *) = {check_out, check_out_buckets, open_hosts, change_the_list};
    pthread_t threads[4];
    pid_t elsewhere = begin();
    double from = seconds_now() + 5.5; /* by then each name has been looked up twice */
    int children = 0;
    int good = 0;
    long calls_before;

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, work[i], NULL);
    while (seconds_now() < from)
        sleep_ms(20);
    for (; good == children && seconds_now() < from + (soak_wanted() ? 60 : 5); children++) {
        int status = -1;
        pid_t child = fork();

        if (child == 0)
            run_child();
        good += waitpid(child, &status, 0) == child && status == 0;
        if (status != 0)
            fprintf(stderr, "# child %d: %x\n", children, status);
    }
    fprintf(stderr, "# %d children, %ld calls\n", children, (long)calls_made);
    CHECK(children > 0 && good == children, "no child hangs or finds a torn list");
    calls_before = calls_made;
    CHECK(EVENTUALLY(calls_made > calls_before), "the process goes on");
    finished = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    end(elsewhere);
}

/* ---- foreign code ------------------------------------------------------------------ */

static pthread_mutex_t programs_own = PTHREAD_MUTEX_INITIALIZER;

static int take_own_lock(int good, X509_STORE_CTX *unused) {
    (void)unused;
    pthread_mutex_lock(&programs_own);
    pthread_mutex_unlock(&programs_own);
    return good;
}

/* A callback of OpenSSL's waits for a lock that the thread which forks holds. */
static void callback_waits_for_who_forks(void) {
    pthread_t thread;
    pid_t elsewhere = begin();
    int good = 0;

    if (!tls_wanted()) {
        check_skip("only TLS has such callbacks");
        end(elsewhere);
        return;
    }
    SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx->ssl_ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_verify(ctx->ssl_ctx, SSL_VERIFY_PEER, take_own_lock);
    ctx->n_conn_max_hits = 0;
    pthread_create(&thread, NULL, check_out, NULL);
    for (int i = 0; i < 50; i++) {
        pid_t child;

        pthread_mutex_lock(&programs_own);
        sleep_ms(5); /* a handshake gets as far as the callback */
        child = fork();
        if (child == 0)
            end_child(true);
        pthread_mutex_unlock(&programs_own);
        good += ended_well(child);
    }
    CHECK_INT(good, 50, "all forks come about");
    finished = true;
    pthread_join(thread, NULL);
    end(elsewhere);
}

/* A child of a thread that walks the list holds its lock, and may go on. */
static void child_holds_the_lists_lock(void) {
    pid_t elsewhere = begin();
    pid_t child;

    dpl_addrlist_lock(ctx->addrlist);
    child = fork();
    if (child == 0) {
        bool others_wait;

        alarm((unsigned)patience(20));
        others_wait = pthread_mutex_trylock(&ctx->addrlist->lock) == 0; /* it is recursive */
        pthread_mutex_unlock(&ctx->addrlist->lock);
        dpl_addrlist_unlock(ctx->addrlist);
        dpl_conn_terminate(checkout(ctx));
        _exit(others_wait && dpl_addrlist_count(ctx->addrlist) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    dpl_addrlist_unlock(ctx->addrlist);
    CHECK(ended_well(child), "the child unlocks the list");
    end(elsewhere);
}

/* ---- fork handlers of the program -------------------------------------------------- */

static void call_the_library(void) {
    if (!ctx)
        return;
    dpl_addrlist_lock(ctx->addrlist);
    dpl_addrlist_count_avail_nolock(ctx->addrlist);
    dpl_addrlist_unlock(ctx->addrlist);
    dpl_conn_release(checkout(ctx));
}

/* They were registered before the library's own, so that they run while the fork is under way. */
static void handlers_may_call_the_library(void) {
    pthread_t thread;
    pid_t elsewhere;
    int good = 0;

    pthread_atfork(call_the_library, call_the_library, call_the_library);
    elsewhere = begin();
    pthread_create(&thread, NULL, check_out, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();

        if (child == 0) {
            alarm((unsigned)patience(20));
            dpl_conn_terminate(checkout(ctx));
            end_child(true);
        }
        good += ended_well(child);
    }
    CHECK_INT(good, 20, "all forks come about");
    finished = true;
    pthread_join(thread, NULL);
    end(elsewhere);
}

int main(void) {
    test_begin("fork_busy");
    RUN(whatever_is_under_way);
    RUN(callback_waits_for_who_forks);
    RUN(child_holds_the_lists_lock);
    RUN(handlers_may_call_the_library);
    return test_end();
}
