#include "soak/tally.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "support/clock.h"

/* Seconds that a call may last beyond its bound: other programs share the processors. */
static const double GRACE = 5;

/* The clock stands still when this thread comes late, as all of them do if the machine stalls. */
enum { TICK_MS = 20 };
static const double LONGEST_TICK = 0.25;

const char *const outcome_names[OUTCOMES] = {
    "done",      "wrong",    "no_connection", "at_limit", "local",     "not_written", "stale",
    "no_reply",  "cut_short", "server_error", "refused",  "cancelled", "abandoned",
};
const char *const meddling_names[MEDDLINGS] = {
    "list_change", "blacklisting", "limit_change", "cancelling", "forking", "short_context",
};
struct tally *tally;

static void *tick(void *unused) {
    double last = seconds_now();

    for (;;) {
        double now, passed;

        sleep_ms(TICK_MS);
        now = seconds_now();
        passed = now - last < LONGEST_TICK ? now - last : LONGEST_TICK;
        tally->clock = tally->clock + passed;
        tally->lost = tally->lost + now - last - passed;
        last = now;
    }
    return unused;
}

void tally_new(void) {
    pthread_t thread;


    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    pthread_create(&thread, NULL, tick, NULL);
}

void call_begins(int slot, const char *name, double bound) {
    struct call *call = &tally->calls[slot];

    call->began = tally->clock;
    call->bound = bound;
    call->reported = false;
    call->name = name;
}

static void note_over(double over) {
    double most = tally->most_over;

    while (over > most && !atomic_compare_exchange_weak(&tally->most_over, &most, over))
        ;
}

static void judge(int slot, const char *name) {
    struct call *call = &tally->calls[slot];
    double lasts = tally->clock - call->began;

    note_over(lasts - call->bound);
    if (lasts <= call->bound + GRACE || atomic_exchange(&call->reported, true))
        return;
    tally->overdue++;
    fprintf(stderr, "overdue: %s in thread %d lasts %.1f s, bound %.1f s\n", name, slot, lasts,
            call->bound);
}

void call_ends(int slot) {
    const char *name = atomic_exchange(&tally->calls[slot].name, NULL);

    judge(slot, name);
}

void call_check(void) {
    for (int slot = 0; slot < SLOTS; slot++) {
        const char *name = tally->calls[slot].name;

        if (name)
            judge(slot, name);
    }
}
