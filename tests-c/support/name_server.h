/*
 * Names under .test, and a name server for them that answers when the test lets it. Defines getaddrinfo(): to be
 * included by one file of a program.
 */
#ifndef SUPPORT_NAME_SERVER_H
#define SUPPORT_NAME_SERVER_H

#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

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
static _Atomic uint64_t blocked_in_asker; /* signals, as signals_in() returns them */

static inline bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* A bit for each signal of a set. */
static inline uint64_t signals_in(const sigset_t *set) {
    uint64_t bits = 0;

    for (int i = 1; i <= SIGRTMAX; i++)
        bits |= (uint64_t)(sigismember(set, i) == 1) << (i - 1);
    return bits;
}

static inline void ask_name_server(const char *name) {
    int now = ++under_way;
    sigset_t blocked;

    look_ups++;
    asked_by = gettid();
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    blocked_in_asker = signals_in(&blocked);
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

/* Threads of this process. */
static inline int threads_now(void) {
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n - 2;
}

static inline dpl_ctx_t *context_named(const char *names, const struct server *server, const char *more) {
    char hosts[1024] = "", *end = hosts;

    for (const char *name = names; *name; name += strcspn(name, " "), name += *name == ' ')
        end += sprintf(end, "%s%.*s:%s", end == hosts ? "" : ";", (int)strcspn(name, " "), name,
                       server_port(server));
    return context_over(hosts, more);
}

/* Adds a host that was not looked up. */
static inline void add_host(dpl_ctx_t *ctx, const char *name, const struct server *server) {
    dpl_addr_t *addr = calloc(1, sizeof *addr);

    addr->host = strdup(name);
    addr->portstr = strdup(server_port(server));
    addr->port = (u_short)atoi(addr->portstr);
    dpl_addrlist_lock(ctx->addrlist);
    dpl_addrlist_add_nolock(ctx->addrlist, addr);
    dpl_addrlist_unlock(ctx->addrlist);
}

static inline struct server *server_of_names(void) {
    return server_start((struct server_options){
        .id = 1, .tls_names = "DNS:a.test,DNS:*.a.test,DNS:dead.test,IP:127.0.0.1"});
}

static inline dpl_status_t ask_bucket(dpl_ctx_t *ctx, const char *bucket) {
    dpl_conn_t *conn = NULL;
    dpl_status_t status = try_connect_to(ctx, bucket, &conn);

    if (conn)
        dpl_conn_terminate(conn);
    return status;
}

#endif
