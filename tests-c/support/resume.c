#include "support/resume.h"

#include <pthread.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/resolver.h"

enum { MOST_OFFERS = 64, MOST_BYTES = 2048 };

/* ---- what clients offer to resume -------------------------------------------------- */

/* Of each ClientHello: its PSK identity or session ticket. */
static struct {
    pthread_mutex_t lock;
    int n; /* entries of offers[] */
    struct {
        size_t len;
        unsigned char bytes[MOST_BYTES];
    } offers[MOST_OFFERS];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_offer(const unsigned char *bytes, size_t len) {
    pthread_mutex_lock(&seen.lock);
    if (len > 0 && len <= MOST_BYTES && seen.n < MOST_OFFERS) {
        memcpy(seen.offers[seen.n].bytes, bytes, len);
        seen.offers[seen.n++].len = len;
    }
    pthread_mutex_unlock(&seen.lock);
}

static int look_at_hello(SSL *ssl, int *alert, void *unused) {
    const unsigned char *bytes;
    size_t len;

    (void)alert;
    (void)unused;
    /* Two bytes of length for the list, two for the first identity (RFC 8446, section 4.2.11). */
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &bytes, &len) && len > 4)
        note_offer(bytes + 4, (size_t)(bytes[2] << 8 | bytes[3]));
    else if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_session_ticket, &bytes, &len))
        note_offer(bytes, len);
    return SSL_CLIENT_HELLO_SUCCESS;
}

int offers(void) {
    int n;

    pthread_mutex_lock(&seen.lock);
    n = seen.n;
    pthread_mutex_unlock(&seen.lock);
    return n;
}

int distinct_offers(void) {
    int distinct = 0;

    for (int i = 0; i < seen.n; i++) {
        int j = 0;

        while (j < i &&
               (seen.offers[j].len != seen.offers[i].len ||
                memcmp(seen.offers[j].bytes, seen.offers[i].bytes, seen.offers[i].len) != 0))
            j++;
        distinct += i == j;
    }
    return distinct;
}

/* ---- a server and a context over it ------------------------------------------------ */

SSL_CTX *server_tls_in(int version, const char *names) {
    SSL_CTX *tls = server_tls_new(names);

    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    SSL_CTX_set_client_hello_cb(tls, look_at_hello, NULL);
    return tls;
}

struct pair pair_under(const char *name, SSL_CTX *tls) {
    struct pair pair = {.peer = peer_start(tls)};
    char hosts[256];

    resolve_test_names();
    snprintf(hosts, sizeof hosts, "%s:%s", name, peer_port(pair.peer));
    pair.ctx = context_over(hosts, "");
    REQUIRE(pair.ctx, "a context is made");
    logs_collect();
    return pair;
}

struct pair pair_in(int version) {
    return pair_under("localhost", server_tls_in(version, NULL));
}

void pair_end(struct pair pair) {
    dpl_ctx_free(pair.ctx);
    peer_stop(pair.peer);
}

SSL *newest(struct peer *peer) {
    return peer_tls(peer, peer_accepted(peer) - 1);
}

/* A request and its reply, on a new connection, which then is given back and not used again. */
bool serve_once(struct pair pair, const char *bucket) {
    dpl_req_t *req = bucket ? dpl_req_new(pair.ctx) : request_new(pair.ctx);
    dpl_conn_t *conn = NULL;
    bool good;

    if (bucket)
        dpl_req_set_bucket(req, bucket);
    pair.ctx->n_conn_max_hits = 0;
    good = dpl_try_connect(pair.ctx, req, &conn) == DPL_SUCCESS && conn->n_hits == 0 &&
           converse_with(conn, newest(pair.peer));
    if (conn)
        dpl_conn_release(conn);
    dpl_req_free(req);
    return good;
}

int resumed_of(struct pair pair, int n) {
    int resumed = 0;

    for (int i = 0; i < n; i++) {
        REQUIRE(serve_once(pair, NULL), "a request is answered");
        resumed += SSL_session_reused(newest(pair.peer)) == 1;
    }
    return resumed;
}
