/* A user of the library: contexts, and what one does with them over and over. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "droplet.h"
#include "measure.h"
#include "peer.h"

/* A context with a request that it is used for. */
struct client {
    dpl_ctx_t *ctx;
    dpl_req_t *req;
};

/* Of a peer by this name; its connections never wear out. */
struct client client_new(const struct peer *peer, const char *name);

/* Adds hosts, and blacklists them. */
void client_add_dead_hosts(struct client *client, const struct peer *peer, int count);

/* A request and its reply over TLS, with which comes what the server grants for resumption. */
void client_ask(dpl_conn_t *conn);

/* Leaves so many connections idle that have served. */
void client_warm(struct client *client, int count);

void client_free(struct client *client);

/* A connection; failing ends the program. */
dpl_conn_t *client_checkout(struct client *client);

/* An operation on a client: checkout and release. */
void checkout_and_release(void *client, long n);

/* Likewise: a checkout that finds nothing idle, and the end of its connection. */
void connect_and_terminate(void *client, long n);

/* An operation on a pointer to a descriptor: the cheapest test of a connection. */
void bare_poll(void *fd, long n);

#endif
