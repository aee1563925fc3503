/*
 * Counts, delays and reorders look-ups, and makes servers that have names. Defines getaddrinfo():
 * to be included by one file of a program. The names are those of own_names()
 * (support/namespace.h).
 */
#ifndef SUPPORT_LOOKUPS_H
#define SUPPORT_LOOKUPS_H

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/clock.h"
#include "support/context.h"

/* Duration of a look-up. */
static atomic_int look_up_ms;

/* Number of look-ups of names, not of addresses. */
static atomic_int look_ups;

/* The thread of the last of these. */
static atomic_int looked_up_by;

/* Turns the answers round. The resolver sorts what it finds in a file; a name server's answers come
 * in any order. */
static atomic_bool backwards;

static inline struct addrinfo *reversed(struct addrinfo *list) {
    struct addrinfo *turned = NULL;

    while (list) {
        struct addrinfo *next = list->ai_next;

        list->ai_next = turned;
        turned = list;
        list = next;
    }
    return turned;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int outcome;

    sleep_ms(look_up_ms);
    if (!(hints && hints->ai_flags & AI_NUMERICHOST)) {
        looked_up_by = gettid();
        look_ups++;
    }
    outcome = ((look_up *)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
    if (outcome == 0 && backwards)
        *found = reversed(*found);
    return outcome;
}

static inline struct server *server_at(const char *address, const struct server *same_port,
                                       int id) {
    return server_start((struct server_options){.address = address,
                                                .port = atoi(server_port(same_port)),
                                                .id = id,
                                                .tls_names = "DNS:a.test,DNS:b.a.test"});
}

static inline struct server *server_named(int id) {
    return server_start((struct server_options){.id = id, .tls_names = "DNS:a.test,DNS:b.a.test"});
}

static inline dpl_ctx_t *context_over_name(const char *name, const struct server *server,
                                           const char *more) {
    char host[64];
    dpl_ctx_t *ctx;

    snprintf(host, sizeof host, "%s:%s", name, server_port(server));
    ctx = context_over(host, more);
    REQUIRE(ctx, "a context over %s is made", name);
    return ctx;
}

#endif
