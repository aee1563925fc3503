/* The cases; README.md has a line on each. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "client.h"
#include "peer.h"

struct peers {
    struct peer plain;
    struct peer tls;
};

void bench_checkout(const struct peers *peers);
void bench_hosts(const struct peers *peers);
void bench_idle(const struct peers *peers);
void bench_latency(const struct peers *peers);
void bench_threads(const struct peers *peers);
void bench_connect(const struct peers *peers);
void bench_connect_tls(const struct peers *peers);
void bench_write(const struct peers *peers);
void bench_write_tls(const struct peers *peers);
/* 8 KiB in 4, n times. */
void write_loop(struct client *client, long n);
void bench_memory(const struct peers *peers);
void bench_start(const struct peers *peers);

#endif
