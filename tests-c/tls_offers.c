/* Servers that fail whenever a client offers a session to resume: nobody is blamed for that, and
 * every call gets its connection. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/peer.h"

enum { ROUNDS = 12 };

/* ---- such servers ------------------------------------------------------------------ */

/* Answers of the server to clients that offer a session, and to the others. */
enum fate { WELCOME, ALERT, HANG_UP_ON_IT, STALL };

static enum fate fate_of_offers;
static enum fate fate_of_others;
static atomic_int offers;

static bool is_offered(SSL *ssl) {
    const unsigned char *bytes;
    size_t len;

    return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &bytes, &len) ||
           (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_session_ticket, &bytes, &len) && len > 0);
}

static int meet(SSL *ssl, int *alert, void *unused) {
    bool offered = is_offered(ssl);
    enum fate fate = offered ? fate_of_offers : fate_of_others;

    (void)unused;
    offers += offered;
    if (fate == WELCOME)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (fate == STALL)
        client_stays(SSL_get_fd(ssl), offered ? 2500 : 30000);
    if (fate != ALERT)
        shutdown(SSL_get_fd(ssl), SHUT_RDWR);
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

struct pair {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

static struct pair pair_in(int version, enum fate fate, const char *more) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct pair pair;

    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    SSL_CTX_set_client_hello_cb(tls, meet, NULL);
    fate_of_offers = fate;
    fate_of_others = WELCOME;
    pair.peer = peer_start(tls);
    pair.ctx = context_over(peer_name(pair.peer), more);
    REQUIRE(pair.ctx, "a context is made");
    pair.ctx->n_conn_max_hits = 0; /* each request on a new connection */
    logs_collect();
    return pair;
}

static void end(struct pair pair) {
    dpl_ctx_free(pair.ctx);
    peer_stop(pair.peer);
}

static SSL *newest(struct peer *peer) {
    return peer_tls(peer, peer_accepted(peer) - 1);
}

static bool serve_once(struct pair pair) {
    dpl_conn_t *conn = checkout(pair.ctx);
    bool good = conn && converse_with(conn, newest(pair.peer));

    if (conn)
        dpl_conn_release(conn);
    return good;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- in the handshake -------------------------------------------------------------- */

static void check_all_answered(enum fate fate) {
    for (int i = 0; i < 2; i++) {
        struct pair pair = pair_in(versions[i], fate, "");
        int good = 0;

        offers = 0;
        for (int j = 0; j < ROUNDS; j++)
            good += serve_once(pair);
        CHECK_INT(good, ROUNDS, "12 requests are answered");
        CHECK_INT(hosts_available(pair.ctx), 1, "nobody is blamed");
        CHECK_INT(offers, 2, "after two failures no session is offered");
        CHECK_INT(peer_accepted(pair.peer), ROUNDS + 2, "two addresses were tried once more");
        CHECK_INT(logs_count(), 1, "one line is logged");
        CHECK_INT(logs_with("fails when a TLS session is offered"), 1, "which says so");
        end(pair);
    }
}

static void alert_to_an_offer_blames_nobody(void) {
    check_all_answered(ALERT);
}

static void hang_up_on_an_offer_blames_nobody(void) {
    check_all_answered(HANG_UP_ON_IT);
}

/* Only the connection of the failed handshake may be open. */
static void second_try_takes_the_room_of_the_first(void) {
    struct pair pair = pair_in(TLS1_3_VERSION, ALERT, "");

    REQUIRE(serve_once(pair), "a request is answered");
    pair.ctx->n_conn_max = 1;
    CHECK(serve_once(pair), "so is the next, with n_conn_max = 1");
    CHECK(pair.ctx->n_conn_fds <= 1, "with one connection at most");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    end(pair);
}

static void second_failure_is_the_hosts(void) {
    for (int i = 0; i < 2; i++) {
        struct pair pair = pair_in(versions[i], ALERT, "");

        REQUIRE(serve_once(pair), "a request is answered");
        fate_of_others = ALERT;
        CHECK(checkout(pair.ctx) == NULL, "a server that sends an alert to all is given up");
        CHECK_INT(peer_accepted(pair.peer), 3, "after two tries");
        CHECK_INT(hosts_available(pair.ctx), 0, "it is out");
        CHECK_INT(logs_count(), 1, "one line is logged");
        CHECK_INT(pair.ctx->n_conn_fds, 0, "no connection is left");
        end(pair);
    }
}

static void both_tries_have_one_deadline(void) {
    struct pair pair = pair_in(TLS1_3_VERSION, STALL, "connection_timeout = 3");
    double begin;

    REQUIRE(serve_once(pair), "a request is answered");
    fate_of_others = STALL;
    begin = seconds_now();
    CHECK(checkout(pair.ctx) == NULL, "a server that stalls, hangs up and stalls is given up");
    CHECK_INT(peer_accepted(pair.peer), 3, "after two tries");
    CHECK(in_time(begin, 5), "within the connection_timeout of one");
    end(pair);
}

/* A server whose certificate is refused is not tried again. */
static void refused_certificate_is_no_matter_of_sessions(void) {
    struct pair pair = pair_in(TLS1_3_VERSION, WELCOME, "");

    REQUIRE(serve_once(pair), "a request is answered");
    peer_become(pair.peer, server_tls_flawed(NULL, UNTRUSTED));
    CHECK(checkout(pair.ctx) == NULL, "a server of another authority takes its place");
    CHECK_INT(peer_accepted(pair.peer), 2, "it is tried once");
    CHECK_INT(hosts_available(pair.ctx), 0, "and is out");
    end(pair);
}

/* ---- after the handshake ----------------------------------------------------------- */

/* TLS 1.3: the server may think better of it when the client has done its part. */
static void check_late(void (*refuse)(struct peer *peer, int n)) {
    struct pair pair = pair_in(TLS1_3_VERSION, WELCOME, "");
    dpl_conn_t *conn;
    char byte;

    REQUIRE(serve_once(pair), "a request is answered");
    conn = checkout(pair.ctx);
    REQUIRE(conn && newest(pair.peer) && SSL_session_reused(newest(pair.peer)),
            "the next connection resumes the session");
    refuse(pair.peer, peer_accepted(pair.peer) - 1);
    sleep_ms(20);
    (void)write_string(conn, "a request", 5);
    (void)write_string(conn, "and more of it", 5);
    CHECK(SSL_read(conn->ssl, &byte, 1) <= 0, "it fails before a reply came");
    dpl_blacklist_host(pair.ctx, conn->host, conn->port); /* as Droplet's reader does */
    dpl_conn_terminate(conn);
    CHECK_INT(hosts_available(pair.ctx), 1, "nobody is blamed");
    offers = 0;
    CHECK(serve_once(pair), "the next connection serves");
    CHECK_INT(offers, 0, "and offered no session");
    conn = checkout(pair.ctx);
    REQUIRE(conn && newest(pair.peer), "one more is made");
    CHECK_INT(offers, 1, "which offers the new one");
    dpl_conn_terminate(conn);
    end(pair);
}

static void close_after_a_resumption_blames_nobody(void) {
    check_late(peer_close);
}

static void reset_after_a_resumption_blames_nobody(void) {
    check_late(peer_reset);
}

/* Without a session there is no excuse. */
static void close_after_a_full_handshake_is_the_hosts(void) {
    struct pair pair = pair_in(TLS1_3_VERSION, WELCOME, "");
    dpl_conn_t *conn = checkout(pair.ctx);

    REQUIRE(conn && newest(pair.peer), "a connection is made");
    peer_close(pair.peer, 0);
    dpl_blacklist_host(pair.ctx, conn->host, conn->port);
    dpl_conn_terminate(conn);
    CHECK_INT(hosts_available(pair.ctx), 0, "the host is out");
    end(pair);
}

/* ---- OpenSSL's own ----------------------------------------------------------------- */

/* A server that asks for certificates and sets no session id context refuses each session that it
 * gave (SSL_CTX_set_session_id_context(3)). */
static void server_that_refuses_its_own_sessions(void) {
    const char *file = client_identity_file();
    char more[512];

    snprintf(more, sizeof more, "ssl_cert_file = \"%s\"\nssl_key_file = \"%s\"", file, file);
    for (int i = 0; i < 2; i++) {
        SSL_CTX *tls = server_tls_new(NULL);
        struct pair pair = pair_in(versions[i], WELCOME, more);
        int good = 0;

        require_client_certificate(tls);
        SSL_CTX_set_max_proto_version(tls, versions[i]);
        peer_become(pair.peer, tls);
        for (int j = 0; j < ROUNDS; j++)
            good += serve_once(pair);
        CHECK_INT(good, ROUNDS, "12 requests are answered");
        CHECK_INT(hosts_available(pair.ctx), 1, "nobody is blamed");
        CHECK_INT(peer_accepted(pair.peer), ROUNDS + 2, "with two connections more");
        CHECK_INT(logs_with("connect to"), 0, "no connect failed");
        end(pair);
    }
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_offers");
    RUN(alert_to_an_offer_blames_nobody);
    RUN(hang_up_on_an_offer_blames_nobody);
    RUN(second_try_takes_the_room_of_the_first);
    RUN(second_failure_is_the_hosts);
    RUN(both_tries_have_one_deadline);
    RUN(refused_certificate_is_no_matter_of_sessions);
    RUN(close_after_a_resumption_blames_nobody);
    RUN(reset_after_a_resumption_blames_nobody);
    RUN(close_after_a_full_handshake_is_the_hosts);
    RUN(server_that_refuses_its_own_sessions);
    return test_end();
}
