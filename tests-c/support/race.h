/* A host that never answers and a live one. To be included by one file of a program, since it
 * counts connects (support/sockets.h). */
#ifndef SUPPORT_RACE_H
#define SUPPORT_RACE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/sockets.h"

enum { THREADS = 6 };

/* Over TLS it connects and keeps silent in the handshake, else it does not even connect. */
static inline struct server *slow_server(void) {
    struct server *server =
        server_start((struct server_options){.refuse = !tls_wanted(), .behaviour = SILENT});

    if (!tls_wanted())
        server_go_deaf(server);
    sockets_watch(server);
    return server;
}

static inline void heal(struct server *server) {
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

static inline void begin(const char *more) {
    race.slow = slow_server();
    race.live = server_answering(1);
    race.ctx = context_over_servers((struct server *[]){race.slow, race.live}, 2, more);
    REQUIRE(race.ctx, "a context over a slow host and a live one is made");
}

static inline void end(void) {
    dpl_ctx_free(race.ctx);
    CHECK_INT(sockets_to(race.slow), 0, "freeing the context ends what was under way");
    server_stop(race.slow);
    server_stop(race.live);
}

#endif
