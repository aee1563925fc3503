/* Counts of the program, in memory that it shares with the children it forks. */
#ifndef SOAK_TALLY_H
#define SOAK_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { THREADS = 8, CHILD = THREADS, MEDDLER, SLOTS };

enum outcome {
    DONE,
    WRONG,         /* a reply that is not the request's: the worst of all */
    NO_CONNECTION,
    AT_LIMIT,      /* DPL_ELIMIT */
    LOCAL,         /* DPL_ESYS, DPL_ENOMEM */
    NOT_WRITTEN,
    STALE,         /* a reused connection ends, or is reset, before a byte of the reply */
    NO_REPLY,
    CUT_SHORT,
    SERVER_ERROR,  /* a status of 5xx */
    REFUSED,       /* a status of 4xx: a proxy's, that waited too long for a request */
    CANCELLED,     /* by dplx_cancel() */
    ABANDONED,     /* the program did not want the reply */
    OUTCOMES
};
extern const char *const outcome_names[OUTCOMES];

enum meddling {
    LIST_CHANGE,
    BLACKLISTING,
    LIMIT_CHANGE,
    CANCELLING,
    FORKING,
    SHORT_CONTEXT,
    MEDDLINGS
};
extern const char *const meddling_names[MEDDLINGS];

enum context { PLAIN, TLS, CONTEXTS };
enum { HOSTS = 8 }; /* at most, in each context */

/* A call of the library that a thread is in, and the time by which it must have returned. */
struct call {
    const char *_Atomic name; /* NULL: none */
    _Atomic double began;     /* on the clock of the tally */
    _Atomic double bound;     /* seconds */
    atomic_bool reported;
};

struct tally {
    atomic_long tries[OUTCOMES];
    atomic_long requests[OUTCOMES]; /* after their last try */
    atomic_long served[CONTEXTS][HOSTS];
    atomic_long bytes;
    atomic_long meddled[MEDDLINGS];
    atomic_long bad_children;
    atomic_long overdue; /* calls that lasted longer than their bound and GRACE */
    _Atomic double most_over; /* seconds beyond the bound, the most of all calls */
    atomic_bool calm;         /* the program does nothing unusual */
    struct call calls[SLOTS];
    _Atomic double clock; /* seconds in which this process could run; children see it too */
    _Atomic double lost;  /* seconds in which the machine kept it from that */
};
extern struct tally *tally;

/* Makes it, and starts its clock: a thread that stays. */
void tally_new(void);

/* A call begins, which must return after so many seconds at the latest, and ends. */
void call_begins(int slot, const char *name, double bound);
void call_ends(int slot);

/* Reports calls that should have returned long ago. */
void call_check(void);

#endif
