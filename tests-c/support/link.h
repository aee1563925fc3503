/* One connection of a loopback server, seen from the server; private to loopback.c and link.c. */
#ifndef SUPPORT_LINK_H
#define SUPPORT_LINK_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "support/loopback.h"

enum { LINK_BUFFER = 64 * 1024 };

struct link {
    LIST_ENTRY(link) others;
    struct server *server;
    pthread_t thread;
    pthread_mutex_t io; /* held for each read and write, so that others may write in between */
    SSL *tls;           /* NULL: plain */
    int fd;             /* -1 once ended; changes under the server's lock */
    bool is_doomed;     /* told to end; under the server's lock */
    int requests;
    size_t len; /* bytes in buffer */
    char buffer[LINK_BUFFER];
};

LIST_HEAD(links, link);

struct server {
    struct server_options options;
    _Atomic enum behaviour behaviour;
    char name[80];
    char port[8];
    int listener; /* bound as long as the server lives */
    bool listening, accepting;
    pthread_t acceptor;
    int callers[8]; /* who fill the queue of a deaf server */
    SSL_CTX *tls;
    pthread_mutex_t lock; /* of the links */
    struct links links;
    atomic_long accepted, open, requests, answers, bytes, troubles_begun, troubles_over;
    _Atomic uint64_t digest;
};

/* A link's thread: converses until the client or a control ends it. */
void *link_run(void *link);

/* All of it; false when the peer is gone. */
bool link_write(struct link *link, const char *bytes, size_t len);

/* A reply that belongs to no request. */
void send_unasked(struct link *link);

/* Makes the close to come a reset. */
void reset_at_close(int fd);

#endif
