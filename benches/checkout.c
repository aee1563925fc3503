/* Warm checkouts: from one thread, with many hosts, with many idle connections. */
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"
#include "client.h"
#include "results.h"

static const double ROUND_NS = 300e3;
enum { ROUNDS = 601, LATENCIES = 200000, BATCH = 500 };

static struct comparison compare_warm(struct client *ours, struct client *floor) {
    return compare((struct side){checkout_and_release, ours},
                   (struct side){checkout_and_release, floor}, ROUND_NS, ROUNDS, NULL);
}

void bench_checkout(const struct peers *peers) {
    int fd = peer_connect(&peers->plain);
    struct client literal = client_new(&peers->plain, "127.0.0.1");
    struct client named = client_new(&peers->plain, "localhost");
    struct client secure = client_new(&peers->tls, "127.0.0.1");

    client_warm(&literal, 1);
    client_warm(&named, 1);
    client_warm(&secure, 1);
    result("checkout", "warm checkout + release; floor: poll(fd, POLLIN, 0)", "ns",
           compare((struct side){checkout_and_release, &literal}, (struct side){bare_poll, &fd},
                   ROUND_NS, ROUNDS, NULL),
           (struct goal){RATIO_AT_MOST, 1.35});
    result("checkout-name", "the same by name; floor: by address", "ns",
           compare_warm(&named, &literal), (struct goal){RATIO_AT_MOST, 1.1});
    result("checkout-tls", "the same over TLS; floor: plain", "ns", compare_warm(&secure, &literal),
           (struct goal){RATIO_AT_MOST, 1.1});
}

void bench_hosts(const struct peers *peers) {
    static const int counts[] = {10, 100, 300, 1000};
    struct client one = client_new(&peers->plain, "127.0.0.1");
    struct comparison measured;

    client_warm(&one, 1);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct client many = client_new(&peers->plain, "127.0.0.1");

        client_add_dead_hosts(&many, &peers->plain, counts[i] - 1);
        client_warm(&many, 1);
        measured = compare_warm(&many, &one);
        if (i == 0)
            point("hosts", "checkout", 1, measured.floor);
        point("hosts", "checkout", counts[i], measured.ours);
    }
    result("hosts", "1000 hosts, 999 of them blacklisted; floor: one host", "ns", measured,
           (struct goal){RATIO_AT_MOST, 1.1});
}

void bench_idle(const struct peers *peers) {
    struct client one = client_new(&peers->plain, "127.0.0.1");
    struct client many = client_new(&peers->plain, "127.0.0.1");

    client_warm(&one, 1);
    client_warm(&many, 900);
    result("idle", "900 idle connections; floor: one", "ns", compare_warm(&many, &one),
           (struct goal){RATIO_AT_MOST, 1.1});
    client_free(&many);
}

static void time_each(struct side side, double *times) {
    for (int i = 0; i < BATCH; i++) {
        double start = now_ns();

        side.run(side.subject, 1);
        times[i] = now_ns() - start;
    }
}

/* Sorted times, as the points at which a distribution is usually read. */
static void tell_quantiles(const char *series, double *times) {
    static const double quantiles[] = {0.01, 0.05, 0.1,  0.25,  0.5,    0.75,
                                       0.9,  0.95, 0.99, 0.999, 0.9999, 1};

    median(times, LATENCIES);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        size_t rank = (size_t)(quantiles[i] * (LATENCIES - 1));

        point("latency", series, quantiles[i], times[rank]);
    }
}

void bench_latency(const struct peers *peers) {
    static double ours[LATENCIES];
    static double floor[LATENCIES];
    int fd = peer_connect(&peers->plain);
    struct client literal = client_new(&peers->plain, "127.0.0.1");

    client_warm(&literal, 1);
    for (int i = 0; i < LATENCIES; i += BATCH) {
        time_each((struct side){checkout_and_release, &literal}, ours + i);
        time_each((struct side){bare_poll, &fd}, floor + i);
    }
    tell_quantiles("checkout", ours);
    tell_quantiles("poll", floor);
    printf("%-58s %11.5g %11.5g ns\n", "latency of a warm checkout, 99 in 100 take less than",
           ours[LATENCIES / 100 * 99], floor[LATENCIES / 100 * 99]);
}
