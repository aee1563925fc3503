/* One request, tried once: a connection, what is written, the reply and whether it is the right one. */
#ifndef SOAK_ATTEMPT_H
#define SOAK_ATTEMPT_H

#include "soak/tally.h"
#include "support/dplx.h"

enum { CONNECT_S = 2, READ_S = 3, WRITE_S = 3, OUT_S = 2 }; /* the profile's timeouts */
enum { MOST_WAIT_MS = 1000 };                               /* at n_conn_max */
enum { MOST_UP = 2 << 20, MOST_DOWN = 4 << 20, MOST_WHOLE = 256 << 10 }; /* bytes of bodies */

enum way_in { TRY_CONNECT, CONNECT, CONNECT_CANCELLABLE, OPEN_HOST, WAYS_IN };
enum reader { IN_STEPS, WHOLE, BY_CALLBACKS, READERS };

/* Ways to leave a reply that the program does not want any more. */
enum leaving { STAY, TERMINATE_EARLY, TERMINATE_LATE, RELEASE_EARLY, RELEASE_LATE, LEAVINGS };

/* A request, and the calls that make it. */
struct plan {
    uint64_t token;
    size_t up, down; /* bytes of the bodies */
    bool is_head;
    enum way_in way_in;
    enum reader reader;
    enum leaving leaving;
};

/* A thread that makes requests, and what other threads need to cancel them. */
struct worker {
    int slot;
    uint64_t random;
    _Atomic uint64_t use; /* 0: none that may be cancelled */
    atomic_bool cancelled;
    char body[MOST_UP];
};

/* The contexts, and the addresses of their hosts as NAME:PORT. */
struct site {
    dpl_ctx_t *ctx;
    int n_hosts;
    char hosts[HOSTS][64];
    char list[HOSTS * 64]; /* all of them */
};
extern struct site sites[CONTEXTS];

enum outcome attempt(struct worker *self, enum context context, const struct plan *plan);

/* A request, with more tries if the first one fails. */
enum outcome ask(struct worker *self, enum context context, const struct plan *plan);

/* One as it comes; unusual ones too unless the program is calm. */
struct plan random_plan(uint64_t *random);

#endif
