/*
 * A server whose every move the test makes itself. A thread of its own takes
 * connections one at a time and shakes hands; from then on the test has both
 * ends: it reads and writes the peer's SSL as it likes, from its own thread.
 */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "droplet.h"

struct peer;

/* Shakes hands on 127.0.0.1. Takes over the SSL_CTX (see server_tls_new()). */
struct peer *peer_start(SSL_CTX *tls);

/* Listens on another loopback address. If the function is not NULL, it is called for each connection instead of TLS. */
struct peer *peer_start_at(const char *address, SSL_CTX *tls, void (*treat)(int fd));

void peer_stop(struct peer *peer);

/* Uses this SSL_CTX for all later handshakes, as a restarted server would. */
void peer_become(struct peer *peer, SSL_CTX *tls);

const char *peer_name(const struct peer *peer); /* "127.0.0.1:PORT" */
const char *peer_port(const struct peer *peer);
int peer_accepted(struct peer *peer);

/* The nth connection, from 0, when its handshake is over; NULL if that failed or there is none. */
SSL *peer_tls(struct peer *peer, int n);

/* Ends a connection: as a close() without a word of TLS, or with a reset. */
void peer_close(struct peer *peer, int n);
void peer_reset(struct peer *peer, int n);

/* ---- for those who treat a connection ---------------------------------------------- */

/* Lets so much time pass; false if the client hangs up before. */
bool client_stays(int fd, int milliseconds);

/* Waits for what the client says first; false if it hangs up instead. */
bool client_speaks(int fd);

void send_raw(int fd, const void *bytes, size_t len);

/* ---- both ends --------------------------------------------------------------------- */

/* One text from the one to the other, all of it. Neither waits for ever. */
bool client_to_peer(dpl_conn_t *conn, SSL *peer, const char *text);
bool peer_to_client(SSL *peer, dpl_conn_t *conn, const char *text);

/* A request and its reply. */
bool converse_with(dpl_conn_t *conn, SSL *peer);

#endif
