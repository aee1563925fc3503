#include "soak/meddler.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/pattern.h"
#include "soak/plant.h"
#include "soak/worker.h"
#include "support/clock.h"

enum { REQUESTS_OF_CHILD = 6, CHILD_S = 60 };

static struct worker *self(void) {
    return &workers[MEDDLER];
}

static uint64_t below(uint64_t n) {
    return random_below(&self()->random, n);
}

static enum context any_context(void) {
    return (enum context)below(CONTEXTS);
}

/* ---- the list and the limits --------------------------------------------------------- */

static void set_list(struct site *site, const char *list) {
    call_begins(MEDDLER, "dpl_addrlist_set_from_str", 5);
    dpl_addrlist_set_from_str(site->ctx->addrlist, list);
    call_ends(MEDDLER);
    fprintf(stderr, "%.0f: hosts: %s\n", seconds_now(), list);
}

static void restore_list(struct site *site) {
    set_list(site, planted_deafness() ? strchr(site->list, ';') + 1 : site->list);
}

/* Some of the hosts, from a random one on; or all again. */
static void change_list(struct site *site) {
    char list[sizeof site->list] = "";
    uint64_t first = below((uint64_t)site->n_hosts);
    uint64_t n = 1 + below((uint64_t)site->n_hosts);

    for (uint64_t i = 0; i < n; i++) {
        strcat(list, i ? ";" : "");
        strcat(list, site->hosts[(first + i) % (uint64_t)site->n_hosts]);
    }
    set_list(site, list);
}

static void blacklist(struct site *site) {
    char host[64];
    char *port;

    strcpy(host, site->hosts[below((uint64_t)site->n_hosts)]);
    port = strrchr(host, ':');
    *port++ = '\0';
    call_begins(MEDDLER, "blacklisting", 0);
    switch (below(3)) {
    case 0:
        dpl_blacklist_host(site->ctx, host, port);
        break;
    case 1:
        dpl_addrlist_blacklist(site->ctx->addrlist, host, port, 1 + (time_t)below(2));
        break;
    default:
        dpl_addrlist_unblacklist(site->ctx->addrlist, host, port);
    }
    call_ends(MEDDLER);
}

static void set_limits(struct site *site, int connections, int hits, int idle_s, int wait_ms) {
    __atomic_store_n(&site->ctx->n_conn_max, connections, __ATOMIC_RELAXED);
    __atomic_store_n(&site->ctx->n_conn_max_hits, hits, __ATOMIC_RELAXED);
    __atomic_store_n(&site->ctx->conn_idle_time, idle_s, __ATOMIC_RELAXED);
    dplx_ctx_set_wait(site->ctx, wait_ms);
}

static void restore_limits(struct site *site) {
    set_limits(site, DPL_DEFAULT_N_CONN_MAX, DPL_DEFAULT_N_CONN_MAX_HITS,
               DPL_DEFAULT_CONN_IDLE_TIME, 0);
}

/* So few connections that calls fail or wait, and short lives for them; or the usual again. */
static void change_limits(struct site *site) {
    static const int waits[] = {0, 200, MOST_WAIT_MS};

    if (below(2))
        restore_limits(site);
    else
        set_limits(site, 1 + (int)below(6), (int)below(8), 1 + (int)below(3), waits[below(3)]);
}

/* ---- other threads and processes ----------------------------------------------------- */

static void cancel_somebody(void) {
    struct worker *victim = &workers[below(THREADS)];
    uint64_t use = victim->use;

    if (use == 0)
        return;
    victim->cancelled = true; /* before: the victim may look at once */
    call_begins(MEDDLER, "dplx_cancel", 0);
    dplx_cancel(use);
    call_ends(MEDDLER);
}

/* In the child: on both contexts, whatever its parent was doing with them. */
static _Noreturn void be_a_child(void) {
    struct worker *child = &workers[CHILD];

    for (int i = 0; i < REQUESTS_OF_CHILD; i++) {
        struct plan plan = random_plan(&child->random);

        ask(child, (enum context)(i % CONTEXTS), &plan);
    }
    _exit(0);
}

static void fork_once(void) {
    double began = seconds_now();
    int status = 0;
    pid_t child;

    workers[CHILD].random = random_next(&self()->random);
    child = fork();
    if (child == 0)
        be_a_child();
    while (waitpid(child, &status, WNOHANG) == 0 && seconds_now() < began + CHILD_S)
        sleep_ms(5);
    if (seconds_now() >= began + CHILD_S) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    if (status != 0) {
        tally->bad_children++;
        fprintf(stderr, "a child ended with status %d after %.1f s\n", status, seconds_now() - began);
    }
    atomic_store(&tally->calls[CHILD].name, NULL);
}

/* A context that lives for a few requests. */
static void use_short_context(struct site *site, bool over_tls) {
    char profile[1024];
    dpl_ctx_t *ctx;

    snprintf(profile, sizeof profile,
             "use_https = %s\nssl_ca_list = \"%s\"\nhost = \"%s\"\nconnection_timeout = %d\n"
             "read_timeout = %d\n",
             over_tls ? "true" : "false", getenv("SOAK_AUTHORITY"), site->list, CONNECT_S, READ_S);
    call_begins(MEDDLER, "dplx_ctx_new", 5);
    ctx = dplx_ctx_new(profile);
    call_ends(MEDDLER);
    for (int i = 0; ctx && i < 3; i++) {
        dpl_conn_t *conn;

        call_begins(MEDDLER, "dplx_connect", CONNECT_S);
        conn = dplx_connect(ctx, CONNECT_S * 1000);
        call_ends(MEDDLER);
        if (conn)
            dpl_conn_release(conn);
    }
    call_begins(MEDDLER, "dplx_ctx_free", 0);
    dplx_ctx_free(ctx);
    call_ends(MEDDLER);
}

/* ---- all of it ----------------------------------------------------------------------- */

void meddle(void) {
    enum context context = any_context();
    struct site *site = &sites[context];
    /* Cancelling costs least and is what takes most luck. */
    enum meddling kind = below(2) ? CANCELLING : (enum meddling)below(MEDDLINGS);

    switch (kind) {
    case LIST_CHANGE:
        change_list(site);
        break;
    case BLACKLISTING:
        blacklist(site);
        break;
    case LIMIT_CHANGE:
        change_limits(site);
        break;
    case FORKING:
        fork_once();
        break;
    case SHORT_CONTEXT:
        use_short_context(site, context == TLS);
        break;
    default:
        cancel_somebody();
    }
    tally->meddled[kind]++;
    planted_hang();
}

void be_calm(bool calm) {
    for (int i = 0; calm && i < CONTEXTS; i++) {
        restore_list(&sites[i]);
        restore_limits(&sites[i]);
    }
    tally->calm = calm;
}
