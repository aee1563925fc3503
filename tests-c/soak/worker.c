#include "soak/worker.h"

#include <pthread.h>
#include <string.h>

#include "soak/pattern.h"
#include "support/clock.h"

enum { TRIES = 4, PAUSE_MS = 120, LONG_PAUSE_MS = 5000 };

struct worker workers[SLOTS];
static pthread_t threads[THREADS];
static atomic_bool finished;

/* Most are small; some have megabytes. */
static size_t random_size(uint64_t *random, size_t most) {
    static const size_t limits[] = {1, 512, 512, 4096, 4096, 4096, 64 << 10, 64 << 10, 256 << 10};
    uint64_t kind = random_below(random, 40);
    size_t limit = kind == 39 ? most : limits[kind % (sizeof limits / sizeof *limits)];

    return random_below(random, (limit < most ? limit : most) + (limit > 1));
}

static enum leaving random_leaving(uint64_t *random) {
    return random_below(random, 20) == 0 ? (enum leaving)(1 + random_below(random, LEAVINGS - 1))
                                         : STAY;
}

struct plan random_plan(uint64_t *random) {
    struct plan plan = {.token = random_next(random)};

    plan.way_in = (enum way_in)random_below(random, OPEN_HOST);
    if (random_below(random, 25) == 0)
        plan.way_in = OPEN_HOST;
    plan.reader = (enum reader)random_below(random, READERS);
    plan.is_head = random_below(random, 20) == 0;
    plan.down = random_size(random, plan.reader == WHOLE ? MOST_WHOLE : MOST_DOWN);
    if (!plan.is_head && random_below(random, 3) == 0)
        plan.up = random_size(random, MOST_UP);
    plan.leaving = tally->calm ? STAY : random_leaving(random);
    if (plan.leaving == TERMINATE_LATE || plan.leaving == RELEASE_LATE)
        plan.reader = IN_STEPS;
    return plan;
}

/* A program repeats what may be repeated; the second time a little later. */
enum outcome ask(struct worker *self, enum context context, const struct plan *plan) {
    enum outcome outcome = DONE;

    for (int i = 0; i < TRIES; i++) {
        outcome = attempt(self, context, plan);
        if (outcome == DONE || outcome == WRONG || outcome == CANCELLED || outcome == ABANDONED)
            break;
        sleep_ms(i * 50);
    }
    tally->requests[outcome]++;
    return outcome;
}

static int random_pause(uint64_t *random) {
    uint64_t most = random_below(random, 100) == 0 ? LONG_PAUSE_MS : PAUSE_MS;

    return (int)random_below(random, most);
}

static void *work(void *arg) {
    struct worker *self = arg;

    while (!finished) {
        struct plan plan = random_plan(&self->random);
        enum context context = (enum context)random_below(&self->random, CONTEXTS);

        /* A reply that was left behind is still on its way to the next request. */
        if (ask(self, context, &plan) != ABANDONED)
            sleep_ms(random_pause(&self->random));
    }
    return NULL;
}

void workers_start(uint64_t seed) {
    for (int i = 0; i < SLOTS; i++) {
        workers[i].slot = i;
        workers[i].random = seed * 1000 + (uint64_t)i;
        memset(workers[i].body, 1, sizeof workers[i].body); /* no growth when it is first used */
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &workers[i]);
}

void workers_stop(void) {
    finished = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}
