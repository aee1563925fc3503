/* A program may use the SSL_CTX of its context, and the SSL and BIO of a connection, as it likes. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/peer.h"
#include "support/resolver.h"

static const char off[] = "DPLX_TLS_VERIFY_HOST=off";

struct host {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

static struct host host_under(const char *name, SSL_CTX *tls, const char *more) {
    struct host host = {.peer = peer_start(tls)};
    char hosts[256];

    resolve_test_names();
    snprintf(hosts, sizeof hosts, "%s:%s", name, peer_port(host.peer));
    host.ctx = context_over(hosts, more);
    REQUIRE(host.ctx, "a context over %s is made", name);
    host.ctx->n_conn_max_hits = 0; /* each request on a new connection */
    logs_collect();
    return host;
}

static void forget(struct host host) {
    dpl_ctx_free(host.ctx);
    peer_stop(host.peer);
}

static SSL *newest(struct host host) {
    return peer_tls(host.peer, peer_accepted(host.peer) - 1);
}

static bool serves(struct host host) {
    dpl_conn_t *conn = checkout(host.ctx);
    bool good = conn && converse_with(conn, newest(host));

    if (conn)
        dpl_conn_release(conn);
    return good;
}

static X509_VERIFY_PARAM *rules_of(struct host host) {
    return SSL_CTX_get0_param(host.ctx->ssl_ctx);
}

/* ---- types of BIOs ----------------------------------------------------------------- */

/* OpenSSL has about a hundred of them for the whole process. Then it returns -1, or in older versions numbers that
 * have the bits of other types. */
static void program_may_take_all_types_of_bios(void) {
    struct host host = host_under("localhost", server_tls_new(NULL), "");
    dpl_conn_t *conn;

    for (int i = 0; i < 512 && BIO_get_new_index() != -1; i++)
        continue;
    conn = checkout(host.ctx);
    REQUIRE(conn, "a connection is made");
    CHECK(BIO_find_type(conn->bio, BIO_TYPE_DESCRIPTOR) == conn->bio, "its BIO has a descriptor");
    CHECK(!BIO_find_type(conn->bio, BIO_TYPE_FILTER), "and is no filter");
    dpl_conn_release(conn);
    forget(host);
}

/* ---- rules of the program's own ---------------------------------------------------- */

static void pinned_name_stands(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:host.test"), "");

    X509_VERIFY_PARAM_set1_host(rules_of(host), "pinned.test", 0);
    CHECK(!serves(host), "a certificate for host.test is refused");
    CHECK_INT(logs_with("wants pinned.test, it is for host.test"), 1, "the log says why");
    CHECK_INT(logs_with(off), 0, "and not that the library's check is to blame");
    forget(host);
    host = host_under("host.test", server_tls_new("DNS:pinned.test"), "");
    X509_VERIFY_PARAM_set1_host(rules_of(host), "pinned.test", 0);
    CHECK(serves(host), "one for the pinned name is accepted");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    forget(host);
}

static void pinned_address_stands(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:host.test"), "");

    X509_VERIFY_PARAM_set1_ip_asc(rules_of(host), "10.0.0.1");
    CHECK(!serves(host), "a certificate without the pinned address is refused");
    CHECK_INT(logs_with("wants 10.0.0.1, it is for host.test"), 1, "the log says why");
    forget(host);
    host = host_under("host.test", server_tls_new("IP:10.0.0.1"), "");
    X509_VERIFY_PARAM_set1_ip_asc(rules_of(host), "10.0.0.1");
    CHECK(serves(host), "one with it is accepted");
    forget(host);
}

static void host_flags_are_added_to(void) {
    struct host host = host_under("a.host.test", server_tls_new("DNS:*.host.test"), "");

    X509_VERIFY_PARAM_set_hostflags(rules_of(host), X509_CHECK_FLAG_NO_WILDCARDS);
    CHECK(!serves(host), "where the program wants no wildcards, there are none");
    forget(host);
    host = host_under("ab.host.test", server_tls_new("DNS:a*.host.test"), "");
    X509_VERIFY_PARAM_set_hostflags(rules_of(host), X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS);
    CHECK(!serves(host), "and never are there partial ones");
    CHECK_INT(X509_VERIFY_PARAM_get_hostflags(rules_of(host)),
              X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS, "the program's flags stay as they were");
    forget(host);
}

/* ---- whom a session was made with -------------------------------------------------- */

static void check_other_context_is_asked(int version) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct host host;
    SSL_CTX *own;
    SSL_CTX *strict = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_max_proto_version(tls, version);
    host = host_under("localhost", tls, "");
    own = host.ctx->ssl_ctx;
    for (int i = 0; i < 2; i++) {
        REQUIRE(serves(host), "a request is answered");
        REQUIRE(SSL_session_reused(newest(host)) == i, "in a session: %s", i ? "resumed" : "new");
    }
    SSL_CTX_set_verify(strict, SSL_VERIFY_PEER, NULL);
    host.ctx->ssl_ctx = strict;
    CHECK(!serves(host), "a context that trusts nobody has no connection");
    CHECK_INT(logs_with("certificate refused: unable to get local issuer"), 1, "the log says why");
    host.ctx->ssl_ctx = own;
    SSL_CTX_free(strict);
    forget(host);
}

static void session_of_another_context_is_not_resumed(void) {
    check_other_context_is_asked(TLS1_2_VERSION);
    check_other_context_is_asked(TLS1_3_VERSION);
}

static void check_verification_is_asked(int version) {
    SSL_CTX *tls = server_tls_flawed(NULL, UNTRUSTED);
    struct host host;

    SSL_CTX_set_max_proto_version(tls, version);
    host = host_under("localhost", tls, "cert_verif = false");
    for (int i = 0; i < 2; i++) {
        REQUIRE(serves(host), "without verification a request is answered");
        REQUIRE(SSL_session_reused(newest(host)) == i, "in a session: %s", i ? "resumed" : "new");
    }
    SSL_CTX_set_verify(host.ctx->ssl_ctx, SSL_VERIFY_PEER, NULL);
    CHECK(!serves(host), "once it is switched on there is no connection");
    CHECK_INT(logs_with("certificate refused: unable to get local issuer"), 1, "the log says why");
    forget(host);
}

static void session_without_verification_is_not_resumed_with_it(void) {
    check_verification_is_asked(TLS1_2_VERSION);
    check_verification_is_asked(TLS1_3_VERSION);
}

/* Nor does a connection that was left idle. */
static void idle_connection_serves_what_it_was_made_for(void) {
    SSL_CTX *tls = server_tls_flawed(NULL, UNTRUSTED);
    struct host host = host_under("localhost", tls, "cert_verif = false");
    SSL_CTX *strict = SSL_CTX_new(TLS_client_method());
    SSL_CTX *own = host.ctx->ssl_ctx;

    host.ctx->n_conn_max_hits = 50;
    REQUIRE(serves(host), "without verification a request is answered");
    CHECK_INT(host.ctx->n_conn_fds, 1, "its connection is idle");
    SSL_CTX_set_verify(own, SSL_VERIFY_PEER, NULL);
    CHECK(checkout(host.ctx) == NULL, "with verification there is no connection");
    SSL_CTX_set_verify(own, SSL_VERIFY_NONE, NULL);
    dpl_addrlist_unblacklist(host.ctx->addrlist, "localhost", peer_port(host.peer));
    REQUIRE(serves(host), "without it there is one again");
    SSL_CTX_set_verify(strict, SSL_VERIFY_PEER, NULL);
    host.ctx->ssl_ctx = strict;
    CHECK(checkout(host.ctx) == NULL, "with another context there is none");
    host.ctx->ssl_ctx = own;
    SSL_CTX_free(strict);
    forget(host);
}

static void session_under_another_pin_is_not_resumed(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:host.test"), "");

    REQUIRE(serves(host), "a request is answered");
    X509_VERIFY_PARAM_set1_host(rules_of(host), "pinned.test", 0);
    CHECK(!serves(host), "once another name is pinned there is no connection");
    forget(host);
}

/* ---- the SSL and the BIO ----------------------------------------------------------- */

static void ssl_and_bio_lead_to_the_socket(void) {
    struct host host = host_under("localhost", server_tls_new(NULL), "");
    dpl_conn_t *conn = checkout(host.ctx);
    int fd = -1;
    struct pollfd readable = {.events = POLLIN};

    REQUIRE(conn && converse_with(conn, newest(host)), "a request is answered");
    CHECK(SSL_get_fd(conn->ssl) == conn->fd, "SSL_get_fd() gives the descriptor");
    CHECK(SSL_get_rfd(conn->ssl) == conn->fd, "SSL_get_rfd() too");
    CHECK(SSL_get_wfd(conn->ssl) == conn->fd, "and SSL_get_wfd()");
    CHECK(SSL_get_rbio(conn->ssl) == conn->bio && SSL_get_wbio(conn->ssl) == conn->bio,
          "the BIO is the SSL's");
    CHECK(BIO_get_fd(conn->bio, &fd) == conn->fd && fd == conn->fd, "BIO_get_fd() gives it twice");
    CHECK(BIO_find_type(conn->bio, BIO_TYPE_DESCRIPTOR) == conn->bio,
          "it is one over a descriptor");
    CHECK(!BIO_eof(conn->bio), "which has not ended");
    readable.fd = SSL_get_fd(conn->ssl);
    SSL_write(newest(host), "unasked", 7);
    CHECK(poll(&readable, 1, (int)patience(10) * 1000) == 1, "and can be waited for");
    dpl_conn_terminate(conn);
    forget(host);
}

/* A program may hold them longer than the connection. */
static void ssl_outlives_its_connection(void) {
    struct host host = host_under("localhost", server_tls_new(NULL), "");
    dpl_conn_t *conn = checkout(host.ctx);
    int before;
    BIO *bio;
    SSL *ssl;
    char byte;

    REQUIRE(conn && converse_with(conn, newest(host)), "a request is answered");
    before = open_descriptors();
    ssl = conn->ssl;
    bio = conn->bio;
    SSL_up_ref(ssl);
    BIO_up_ref(bio);
    dpl_conn_terminate(conn);
    CHECK_INT(before - open_descriptors(), 1, "the socket is closed with the connection");
    CHECK_INT(host.ctx->n_conn_fds, 0, "and counted no more");
    CHECK_INT(SSL_get_fd(ssl), -1, "the SSL leads nowhere");
    CHECK(SSL_read(ssl, &byte, 1) <= 0 && SSL_write(ssl, "x", 1) <= 0, "nothing can be done on it");
    ERR_clear_error();
    SSL_free(ssl);
    CHECK_INT((int)BIO_get_fd(bio, NULL), -1, "nor on the BIO");
    BIO_free(bio);
    forget(host);
}

/* The end of the stream is reported as a socket's BIO reports it. */
/* As in Droplet: fields that are NULL or -1 are not the connection's any more. */
static void program_may_take_the_connection(void) {
    struct host host = host_under("localhost", server_tls_new(NULL), "");
    dpl_conn_t *conn = checkout(host.ctx);
    char bytes[5];
    SSL *ssl;
    int fd;

    REQUIRE(conn && converse_with(conn, newest(host)), "a request is answered");
    ssl = conn->ssl;
    fd = conn->fd;
    conn->ssl = NULL;
    conn->bio = NULL;
    conn->fd = -1;
    dpl_conn_terminate(conn);
    CHECK_INT(host.ctx->n_conn_fds, 0, "the connection is not counted any more");
    CHECK_INT(SSL_write(ssl, "hello", 5), 5, "the program writes on");
    CHECK(SSL_read(newest(host), bytes, 5) == 5 && memcmp(bytes, "hello", 5) == 0,
          "and is understood");
    CHECK_INT(SSL_write(newest(host), "reply", 5), 5, "the peer answers");
    CHECK(SSL_read(ssl, bytes, 5) == 5 && memcmp(bytes, "reply", 5) == 0, "which is read");
    SSL_free(ssl);
    CHECK_INT(close(fd), 0, "the descriptor is still open");
    forget(host);
}

static void program_may_free_the_ssl(void) {
    struct host host = host_under("localhost", server_tls_new(NULL), "");
    int before = open_descriptors();
    dpl_conn_t *conn = checkout(host.ctx);

    REQUIRE(conn && converse_with(conn, newest(host)), "a request is answered");
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    conn->bio = NULL;
    dpl_conn_terminate(conn);
    CHECK_INT(host.ctx->n_conn_fds, 0, "the connection is not counted any more");
    CHECK(EVENTUALLY(open_descriptors() <= before + 1), "and its descriptor is closed");
    CHECK(serves(host), "the next connection serves");
    forget(host);
}

static void end_of_a_stream_is_what_it_is_to_a_socket(void) {
    struct host host = host_under("localhost", server_tls_new(NULL), "");
    dpl_conn_t *conn = checkout(host.ctx);
    char byte;
    int n;

    REQUIRE(conn && converse_with(conn, newest(host)), "a request is answered");
    peer_close(host.peer, 0);
    ERR_clear_error();
    n = SSL_read(conn->ssl, &byte, 1);
    CHECK_INT(SSL_get_error(conn->ssl, n), SSL_ERROR_SSL,
              "an end without close_notify is an error");
    CHECK_INT(ERR_GET_REASON(ERR_peek_error()), SSL_R_UNEXPECTED_EOF_WHILE_READING, "by its name");
    CHECK(BIO_eof(conn->bio), "and the BIO has ended");
    ERR_clear_error();
    dpl_conn_terminate(conn);
    SSL_CTX_set_options(host.ctx->ssl_ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    conn = checkout(host.ctx);
    REQUIRE(conn && converse_with(conn, newest(host)), "a request is answered");
    peer_close(host.peer, 1);
    n = SSL_read(conn->ssl, &byte, 1);
    CHECK_INT(SSL_get_error(conn->ssl, n), SSL_ERROR_ZERO_RETURN,
              "it is a good one where the program says so");
    dpl_conn_terminate(conn);
    forget(host);
}

/* ---- a certificate that is asked for later ----------------------------------------- */

static void certificate_is_shown_after_the_handshake(void) {
    const char *file = client_identity_file();
    SSL_CTX *tls = server_tls_new(NULL);
    struct host host;
    dpl_conn_t *conn;
    char more[512];
    X509 *seen;
    SSL *peer;

    require_client_certificate(tls);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    snprintf(more, sizeof more, "ssl_cert_file = \"%s\"\nssl_key_file = \"%s\"", file, file);
    host = host_under("localhost", tls, more);
    conn = checkout(host.ctx);
    peer = newest(host);
    REQUIRE(conn && peer && converse_with(conn, peer), "a request is answered");
    SSL_set_verify(peer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    CHECK(SSL_verify_client_post_handshake(peer) == 1 && SSL_do_handshake(peer) == 1,
          "the server may ask for a certificate");
    CHECK(peer_to_client(peer, conn, "who are you?") && client_to_peer(conn, peer, "as you see"),
          "the conversation goes on");
    seen = SSL_get1_peer_certificate(peer);
    CHECK(seen != NULL, "and the server has seen it");
    X509_free(seen);
    dpl_conn_release(conn);
    forget(host);
}

static void idle_connection_matches_use_https(void) {
    struct host host = host_under("localhost", server_tls_new("DNS:localhost"), "");
    dpl_conn_t *conn;

    host.ctx->n_conn_max_hits = 50;
    host.ctx->use_https = 0;
    conn = checkout(host.ctx);
    REQUIRE(conn && !conn->ssl, "without use_https a connection is plain");
    dpl_conn_release(conn);
    CHECK_INT(host.ctx->n_conn_fds, 1, "it is idle");
    host.ctx->use_https = 1;
    conn = checkout(host.ctx);
    REQUIRE(conn && conn->ssl, "with use_https the next is secured");
    CHECK(converse_with(conn, newest(host)), "and serves a request");
    CHECK_INT(host.ctx->n_conn_fds, 1, "the plain one is closed");
    dpl_conn_release(conn);
    host.ctx->use_https = 0;
    conn = checkout(host.ctx);
    CHECK(conn && !conn->ssl, "without use_https the next is plain again");
    if (conn)
        dpl_conn_release(conn);
    CHECK_INT(host.ctx->n_conn_fds, 1, "the secured one is closed");
    forget(host);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_program");
    RUN(program_may_take_all_types_of_bios); /* before any connection */
    RUN(pinned_name_stands);
    RUN(pinned_address_stands);
    RUN(host_flags_are_added_to);
    RUN(session_of_another_context_is_not_resumed);
    RUN(session_without_verification_is_not_resumed_with_it);
    RUN(idle_connection_serves_what_it_was_made_for);
    RUN(session_under_another_pin_is_not_resumed);
    RUN(ssl_and_bio_lead_to_the_socket);
    RUN(ssl_outlives_its_connection);
    RUN(program_may_take_the_connection);
    RUN(program_may_free_the_ssl);
    RUN(end_of_a_stream_is_what_it_is_to_a_socket);
    RUN(certificate_is_shown_after_the_handshake);
    RUN(idle_connection_matches_use_https);
    return test_end();
}
