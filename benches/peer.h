/* The other end: a server in a process of its own, on another processor than the measured code. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>

struct peer {
    int port;
    char authority[256]; /* the file that certifies it, if it speaks TLS */
};

/* Discards what it is sent; over TLS it answers '?' with '!'. It ends with this process. */
struct peer peer_start(bool tls);

/* A bare connection to it. */
int peer_connect(const struct peer *peer);

/* Returns when it has seen to all that came before. */
void peer_settle(const struct peer *peer);

#endif
