/* A server and a context over it, and the sessions that the server is offered for resumption. */
#ifndef SUPPORT_RESUME_H
#define SUPPORT_RESUME_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "droplet.h"
#include "support/peer.h"

/* Number of connections whose ClientHello offered a session or ticket, and of different ones among
 * these. */
int offers(void);
int distinct_offers(void);

/* For a server of this version of TLS alone, which counts offers. */
SSL_CTX *server_tls_in(int version, const char *names);

struct pair {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

/* The context connects to the server by this name. Takes over the SSL_CTX. Log lines count from
 * here. */
struct pair pair_under(const char *name, SSL_CTX *tls);
struct pair pair_in(int version);
void pair_end(struct pair pair);

/* The server's end of the newest connection. */
SSL *newest(struct peer *peer);

/* A request and its reply, on a new connection, which then is given back and not used again. */
bool serve_once(struct pair pair, const char *bucket);

/* Makes n such connections; returns how many of them the server resumed. */
int resumed_of(struct pair pair, int n);

#endif
