/* One TLS connection to a server that the test plays itself (support/peer.h), and its way to idle
 * and back. */
#ifndef SUPPORT_IDLE_H
#define SUPPORT_IDLE_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "droplet.h"
#include "support/peer.h"

extern const int tls_versions[2];

struct line {
    struct peer *peer;
    SSL *server;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
};

/* In use. The server sends so many tickets with the handshake. */
struct line connect_in(int version, size_t tickets);

/* Idle, after one request. */
struct line idle_in(int version);

void line_end(struct line line);

/* Waits until the client's kernel knows what the server did. */
void let_it_arrive(void);

/* Checks the next connection out; this must not wait for the server. */
void take(struct line *line);
void give(struct line *line);

/* The next checkout has the idle connection, and it is used for the nth time again. */
void check_reused(struct line *line, unsigned hits);

/* The next checkout has a new connection; the idle one is closed. */
void check_replaced(struct line *line);

#endif
