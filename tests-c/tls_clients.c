/* Certificates of clients, and servers that refuse them. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/error_queue.h"
#include "support/logs.h"
#include "support/peer.h"

struct host {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

static struct host host_over(SSL_CTX *tls, const char *more) {
    struct host host = {.peer = peer_start(tls)};

    host.ctx = context_over(peer_name(host.peer), more);
    REQUIRE(host.ctx, "a context is made");
    logs_collect();
    return host;
}

static void forget(struct host host) {
    dpl_ctx_free(host.ctx);
    peer_stop(host.peer);
}

static SSL_CTX *demanding_server(int version) {
    SSL_CTX *tls = server_tls_new(NULL);

    require_client_certificate(tls);
    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    return tls;
}

static void check_client_certificate(int version) {
    char more[512];
    const char *file = client_identity_file();
    struct host host;
    dpl_conn_t *conn;
    SSL *peer;
    X509 *seen;
    char name[64] = "";

    snprintf(more, sizeof more, "ssl_cert_file = \"%s\"\nssl_key_file = \"%s\"", file, file);
    host = host_over(demanding_server(version), more);
    conn = checkout(host.ctx);
    peer = peer_tls(host.peer, 0);
    REQUIRE(conn && peer, "a connection is made");
    CHECK(converse_with(conn, peer), "a request is answered");
    seen = SSL_get1_peer_certificate(peer);
    if (seen)
        X509_NAME_get_text_by_NID(X509_get_subject_name(seen), NID_commonName, name, sizeof name);
    CHECK_STR(name, "loopback client", "the server has seen the client's certificate");
    X509_free(seen);
    dpl_conn_release(conn);
    forget(host);
}

static void clients_certificate_is_shown(void) {
    check_client_certificate(TLS1_2_VERSION);
    check_client_certificate(TLS1_3_VERSION);
}

static void missing_certificate_fails_the_handshake(void) {
    struct host host = host_over(demanding_server(TLS1_2_VERSION), "");
    char line[256];

    CHECK(checkout(host.ctx) == NULL, "TLS 1.2: there is no connection");
    snprintf(line, sizeof line, "%s: TLS handshake: %s", peer_name(host.peer),
             tls_error_text(SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE));
    CHECK(logs_with(line) == 1, "the log says why");
    CHECK_INT(hosts_available(host.ctx), 0, "the host is out");
    forget(host);
}

/* In TLS 1.3 the server's refusal comes after the handshake, as the answer to the first request. */
static void missing_certificate_fails_the_first_read(void) {
    struct host host = host_over(demanding_server(TLS1_3_VERSION), "");
    dpl_conn_t *conn = checkout(host.ctx);
    char byte;

    REQUIRE(conn, "TLS 1.3: the handshake succeeds on this side");
    CHECK(peer_tls(host.peer, 0) == NULL, "and fails on the other");
    ERR_clear_error();
    CHECK(SSL_read(conn->ssl, &byte, 1) <= 0, "a read fails");
    CHECK_INT(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
              "because a certificate is required");
    dpl_conn_release(conn);
    conn = checkout(host.ctx);
    CHECK(!conn || conn->n_hits == 0, "the connection is not reused");
    if (conn)
        dpl_conn_terminate(conn);
    forget(host);
}

static int accept_all(int good, X509_STORE_CTX *store) {
    (void)good;
    (void)store;
    return 1;
}

/* The program overrules the verdict, whose code stays, and then the server refuses. */
static void failure_after_a_verdict_is_not_the_certificates(void) {
    SSL_CTX *tls = server_tls_flawed(NULL, UNTRUSTED);
    struct host host;

    require_client_certificate(tls);
    SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION);
    host = host_over(tls, "");
    SSL_CTX_set_verify(host.ctx->ssl_ctx, SSL_VERIFY_PEER, accept_all);
    CHECK(checkout(host.ctx) == NULL, "there is no connection");
    CHECK_INT(logs_with("certificate refused"), 0, "the certificate was not refused");
    CHECK_INT(logs_with("TLS handshake: "), 1, "the log names the alert");
    forget(host);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_clients");
    RUN(clients_certificate_is_shown);
    RUN(missing_certificate_fails_the_handshake);
    RUN(missing_certificate_fails_the_first_read);
    RUN(failure_after_a_verdict_is_not_the_certificates);
    return test_end();
}
