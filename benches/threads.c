/* Warm checkouts from several threads at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cases.h"
#include "client.h"
#include "results.h"

enum { MOST_THREADS = 32, ROUNDS = 25, CHUNK = 8 };
static const long ROUND_NS = 30000000;

static const int counts[] = {1, 2, 4, 8, 16, 32};
enum { COUNTS = sizeof counts / sizeof *counts };

struct worker {
    struct side side;
    long done;
    pthread_t thread;
};

static atomic_bool go;
static atomic_bool stop;

static void *work(void *arg) {
    struct worker *worker = arg;

    while (!go)
        ;
    for (worker->done = 0; !stop; worker->done += CHUNK)
        worker->side.run(worker->side.subject, CHUNK);
    return NULL;
}

/* Operations a second of these workers together. */
static double rate(struct worker *workers, int count) {
    struct timespec round = {.tv_nsec = ROUND_NS};
    long done = 0;
    double start;
    double elapsed;

    go = stop = false;
    for (int i = 0; i < count; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            exit(EXIT_FAILURE);
    start = now_ns();
    go = true;
    nanosleep(&round, NULL);
    stop = true;
    elapsed = now_ns() - start;
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
    }
    return (double)done / elapsed * 1e9;
}

/* Each thread has a request of its own, as it must. */
static void employ(struct worker *workers, struct client *clients, dpl_ctx_t *ctx) {
    for (int i = 0; i < MOST_THREADS; i++) {
        clients[i].ctx = ctx;
        clients[i].req = dpl_req_new(ctx);
        dpl_req_rm_behavior(clients[i].req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
        workers[i] = (struct worker){.side = {checkout_and_release, &clients[i]}};
    }
}

/* Ratios of the rounds: rates with `many` threads to rates with `few`. */
static struct comparison against(double (*rates)[ROUNDS], int many, int few) {
    double ratios[ROUNDS];
    double many_rates[ROUNDS];
    double few_rates[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        many_rates[round] = rates[many][round];
        few_rates[round] = rates[few][round];
        ratios[round] = rates[many][round] / rates[few][round];
    }
    return (struct comparison){.ours = median(many_rates, ROUNDS) / 1e6,
                               .floor = median(few_rates, ROUNDS) / 1e6,
                               .ratio = median(ratios, ROUNDS)};
}

static void tell_points(const char *series, double (*rates)[ROUNDS]) {
    for (int i = 0; i < COUNTS; i++)
        point("threads", series, counts[i], against(rates, i, i).ours);
}

void bench_threads(const struct peers *peers) {
    static struct worker one_host[MOST_THREADS];
    static struct worker two_hosts[MOST_THREADS];
    static struct worker bare[MOST_THREADS];
    static struct client clients[2][MOST_THREADS];
    static double rates[3][COUNTS][ROUNDS];
    struct client one = client_new(&peers->plain, "127.0.0.1");
    struct client two = client_new(&peers->plain, "127.0.0.1");
    int fds[MOST_THREADS];
    char port[8];

    snprintf(port, sizeof port, "%d", peers->plain.port);
    dpl_addrlist_add(two.ctx->addrlist, "127.0.0.2", port);
    client_warm(&one, MOST_THREADS);
    client_warm(&two, 2 * MOST_THREADS);
    employ(one_host, clients[0], one.ctx);
    employ(two_hosts, clients[1], two.ctx);
    for (int i = 0; i < MOST_THREADS; i++) {
        fds[i] = peer_connect(&peers->plain);
        bare[i] = (struct worker){.side = {bare_poll, &fds[i]}};
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNTS; i++) {
            rates[0][i][round] = rate(one_host, counts[i]);
            rates[1][i][round] = rate(two_hosts, counts[i]);
            rates[2][i][round] = rate(bare, counts[i]);
        }
    }
    tell_points("one host", rates[0]);
    tell_points("two hosts", rates[1]);
    tell_points("poll", rates[2]);
    result("threads-floor", "for comparison: bare poll; two threads; floor: one thread", "M/s",
           against(rates[2], 1, 0), (struct goal){RATIO_AT_LEAST, 0});
    result("threads-floor-8", "for comparison: bare poll; 8 threads; floor: two", "M/s",
           against(rates[2], 3, 1), (struct goal){RATIO_AT_LEAST, 0});
    result("threads-2", "two threads on one host; floor: one thread", "M/s",
           against(rates[0], 1, 0), (struct goal){RATIO_AT_LEAST, 1.4});
    result("threads-2-hosts", "two threads on two hosts; floor: one thread", "M/s",
           against(rates[1], 1, 0), (struct goal){RATIO_AT_LEAST, 1.4});
    result("threads-8", "8 threads; floor: two", "M/s", against(rates[0], 3, 1),
           (struct goal){RATIO_AT_LEAST, 1});
    result("threads-32", "32 threads; floor: two", "M/s", against(rates[0], 5, 1),
           (struct goal){RATIO_AT_LEAST, 0.9});
}
