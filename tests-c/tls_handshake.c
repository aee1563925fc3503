/* The TLS handshake: it ends within the connect deadline, and the server is told the name. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/error_queue.h"
#include "support/link.h"
#include "support/logs.h"
#include "support/peer.h"
#include "support/resolver.h"

static dpl_ctx_t *context_over_peer(struct peer *peer, const char *more) {
    return context_over(peer_name(peer), more);
}

/* ---- servers that do not shake hands ----------------------------------------------- */

static void stay_silent(int fd) {
    client_stays(fd, 30000);
}

static void send_half_a_record(int fd) {
    static const unsigned char half[] = {22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3};

    client_speaks(fd);
    send_raw(fd, half, sizeof half);
    client_stays(fd, 30000);
}

/* Quick enough for a timeout that began again with each byte. */
static void send_byte_by_byte(int fd) {
    static const unsigned char server_hello[] = {22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3};

    for (size_t i = 0; client_stays(fd, 300); i++)
        send_raw(fd, i < sizeof server_hello ? &server_hello[i] : server_hello, 1);
}

static void reset_at_once(int fd) {
    client_speaks(fd);
    reset_at_close(fd);
}

static void close_at_once(int fd) {
    client_speaks(fd);
}

static void speak_plain_http(int fd) {
    static const char reply[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

    client_speaks(fd);
    send_raw(fd, reply, sizeof reply - 1);
}

static void refuse_by_alert(int fd) {
    static const unsigned char handshake_failure[] = {21, 3, 3, 0, 2, 2, 40};

    client_speaks(fd);
    send_raw(fd, handshake_failure, sizeof handshake_failure);
}

/* The client's next flight meets a closed socket: that must not be a SIGPIPE. */
static void answer_and_reset(int fd) {
    SSL_CTX *tls = server_tls_new(NULL);
    SSL *ssl = SSL_new(tls);
    char bytes[8192];
    ssize_t n;

    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    n = recv(fd, bytes, sizeof bytes, 0);
    BIO_write(SSL_get_rbio(ssl), bytes, (int)n);
    SSL_accept(ssl);
    n = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes);
    send_raw(fd, bytes, (size_t)n);
    reset_at_close(fd);
    SSL_free(ssl);
    SSL_CTX_free(tls);
}

static void check_log_says(struct peer *peer, const char *reason) {
    char line[256];

    snprintf(line, sizeof line, "%s: %s", peer_name(peer), reason);
    CHECK(logs_with(line) > 0, "the log names the address and says \"%s\"", reason);
}

/* The timeout in seconds; 0: the server fails the handshake before the default of 5 s. */
static void check_fails(void (*treat)(int fd), int timeout, const char *reason) {
    struct peer *peer = peer_start_at("127.0.0.1", NULL, treat);
    /* With the default timeout, a case that takes a second longer than it should fails. */
    dpl_ctx_t *ctx = context_over_peer(peer, timeout ? "connection_timeout = 1" : "");
    int descriptors = open_descriptors();
    double begin = seconds_now();

    logs_collect();
    CHECK(checkout(ctx) == NULL, "there is no connection");
    CHECK(seconds_now() - begin >= 0.9 * timeout, "the server had its time");
    CHECK(in_time(begin, timeout + 2), "and no more");
    check_log_says(peer, reason);
    CHECK_INT(hosts_available(ctx), 0, "the host is out");
    CHECK_INT(ctx->n_conn_fds, 0, "no connection is counted");
    /* The peer keeps its end until its turn comes to close it. */
    CHECK(EVENTUALLY(open_descriptors() <= descriptors), "no descriptor is left");
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void silent_server_is_a_timeout(void) {
    check_fails(stay_silent, 1, "TLS handshake timed out");
}

static void half_a_record_is_a_timeout(void) {
    check_fails(send_half_a_record, 1, "TLS handshake timed out");
}

static void trickle_is_a_timeout(void) {
    check_fails(send_byte_by_byte, 1, "TLS handshake timed out");
}

static void signals_do_not_prolong_a_handshake(void) {
    storm_begin(1000);
    check_fails(send_byte_by_byte, 1, "TLS handshake timed out");
    storm_end();
}

static void reset_is_a_failure(void) {
    check_fails(reset_at_once, 0, "TLS handshake: Connection reset by peer");
}

static void close_is_a_failure(void) {
    check_fails(close_at_once, 0, "TLS handshake: ");
}

static void reset_between_flights_is_a_failure(void) {
    for (int i = 0; i < 20; i++) {
        struct peer *peer = peer_start_at("127.0.0.1", NULL, answer_and_reset);
        dpl_ctx_t *ctx = context_over_peer(peer, "connection_timeout = 1");

        REQUIRE(checkout(ctx) == NULL, "there is no connection");
        REQUIRE(hosts_available(ctx) == 0, "the host is out");
        dpl_ctx_free(ctx);
        peer_stop(peer);
    }
    CHECK(true, "20 servers reset between the flights of the handshake");
}

static void plain_http_is_a_failure(void) {
    check_fails(speak_plain_http, 0, "TLS handshake: wrong version number");
}

static void alert_is_a_failure(void) {
    char reason[256];

    snprintf(reason, sizeof reason, "TLS handshake: %s",
             tls_error_text(SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE));
    check_fails(refuse_by_alert, 0, reason);
}

static void another_host_takes_over(void) {
    struct peer *silent = peer_start_at("127.0.0.1", NULL, stay_silent);
    struct peer *sound = peer_start(server_tls_new(NULL));
    char hosts[256];
    dpl_ctx_t *ctx;
    double begin;

    snprintf(hosts, sizeof hosts, "%s;%s", peer_name(silent), peer_name(sound));
    ctx = context_over(hosts, "connection_timeout = 30");
    begin = seconds_now();
    for (int i = 0; i < 2; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(conn, "checkout %d has a connection", i);
        CHECK_STR(conn->port, peer_port(sound), "to the host that shakes hands");
        dpl_conn_release(conn);
    }
    CHECK(in_time(begin, 4), "long before the silent one's time is up");
    dpl_ctx_free(ctx);
    peer_stop(silent);
    peer_stop(sound);
}

/* ---- handshakes that succeed ------------------------------------------------------- */

static int wait_a_moment(SSL *ssl, int *alert, void *milliseconds) {
    (void)ssl;
    (void)alert;
    sleep_ms((int)(intptr_t)milliseconds);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Both hosts are tried, so one of the checkouts goes on without the slow one. */
static void late_handshake_joins_the_pool(void) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct peer *slow;
    struct peer *quick = peer_start(server_tls_new(NULL));
    char hosts[256];
    dpl_ctx_t *ctx;
    dpl_conn_t *conns[2];
    bool found = false;

    SSL_CTX_set_client_hello_cb(tls, wait_a_moment, (void *)(intptr_t)patience(1000));
    slow = peer_start(tls);
    snprintf(hosts, sizeof hosts, "%s;%s", peer_name(slow), peer_name(quick));
    ctx = context_over(hosts, "connection_timeout = 30");
    for (int i = 0; i < 2; i++) {
        conns[i] = checkout(ctx);
        REQUIRE(conns[i], "checkout %d has a connection", i);
        CHECK_STR(conns[i]->port, peer_port(quick), "to the quick host");
    }
    sleep_ms((int)patience(1200));
    for (int i = 0; i < 2; i++)
        dpl_conn_release(conns[i]);
    for (int i = 0; i < 20 && !found; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(conn, "there is always a connection");
        found = strcmp(conn->port, peer_port(slow)) == 0;
        if (found)
            CHECK(converse_with(conn, peer_tls(slow, 0)), "the slow one serves in the end");
        dpl_conn_release(conn);
        sleep_ms(20);
    }
    CHECK(found, "once its handshake was over");
    CHECK_INT(peer_accepted(slow), 1, "which was the only one");
    CHECK_INT(hosts_available(ctx), 2, "nobody is blamed");
    dpl_ctx_free(ctx);
    peer_stop(slow);
    peer_stop(quick);
}

static void signals_do_not_disturb_a_handshake(void) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct peer *peer;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;

    SSL_CTX_set_client_hello_cb(tls, wait_a_moment, (void *)300);
    peer = peer_start(tls);
    ctx = context_over_peer(peer, "connection_timeout = 30");
    storm_begin(1000);
    conn = checkout(ctx);
    storm_end();
    REQUIRE(conn, "a connection is made");
    CHECK(converse_with(conn, peer_tls(peer, 0)), "a request is answered on it");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void connection_has_what_a_reader_needs(void) {
    struct peer *peer = peer_start(server_tls_new(NULL));
    dpl_ctx_t *ctx = context_over_peer(peer, "");
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn, "a connection is made");
    REQUIRE(conn->ssl && conn->bio, "it has an SSL and a BIO");
    CHECK(SSL_get_rbio(conn->ssl) == conn->bio, "the SSL reads from the BIO");
    CHECK(SSL_get_wbio(conn->ssl) == conn->bio, "and writes to it");
    CHECK(SSL_is_init_finished(conn->ssl), "hands are shaken");
    CHECK(SSL_get_SSL_CTX(conn->ssl) == ctx->ssl_ctx, "the SSL is of the context's SSL_CTX");
    CHECK_INT(SSL_get_verify_result(conn->ssl), X509_V_OK, "the certificate was verified");
    CHECK_INT(fcntl(conn->fd, F_GETFL) & O_NONBLOCK, 0, "the socket is a blocking one");
    CHECK_INT(fcntl(conn->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC, "and closed on exec");
    CHECK_INT(ctx->n_conn_fds, 1, "it is counted");
    CHECK(converse_with(conn, peer_tls(peer, 0)), "a request is answered on it");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void shared_settings_stay_as_they_were(void) {
    struct peer *peer = peer_start(server_tls_new(NULL));
    dpl_ctx_t *ctx = context_over_peer(peer, "");
    SSL_CTX *tls = ctx->ssl_ctx;
    long mode = SSL_CTX_get_mode(tls);
    uint64_t options = SSL_CTX_get_options(tls);
    long cache_mode = SSL_CTX_get_session_cache_mode(tls);
    int verify_mode = SSL_CTX_get_verify_mode(tls);
    SSL_verify_cb verify = SSL_CTX_get_verify_callback(tls);
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn && converse_with(conn, peer_tls(peer, 0)), "a request is answered");
    dpl_conn_release(conn);
    CHECK_INT(SSL_CTX_get_mode(tls), mode, "SSL_CTX_get_mode");
    CHECK(SSL_CTX_get_options(tls) == options, "SSL_CTX_get_options");
    CHECK_INT(SSL_CTX_get_session_cache_mode(tls), cache_mode, "SSL_CTX_get_session_cache_mode");
    CHECK_INT(SSL_CTX_get_verify_mode(tls), verify_mode, "SSL_CTX_get_verify_mode");
    CHECK(SSL_CTX_get_verify_callback(tls) == verify, "SSL_CTX_get_verify_callback");
    CHECK(SSL_CTX_sess_get_new_cb(tls) == NULL, "SSL_CTX_sess_get_new_cb");
    CHECK(SSL_CTX_sess_get_remove_cb(tls) == NULL, "SSL_CTX_sess_get_remove_cb");
    CHECK(SSL_CTX_get_info_callback(tls) == NULL, "SSL_CTX_get_info_callback");
    CHECK(X509_VERIFY_PARAM_get0_host(SSL_CTX_get0_param(tls), 0) == NULL, "its host name");
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

/* ---- the server's name ------------------------------------------------------------- */

static void check_server_name(const char *address, const char *host, const char *bucket,
                              const char *expected) {
    struct peer *peer = peer_start_at(
        address, server_tls_new("DNS:localhost,DNS:*.host.test,IP:127.0.0.1,IP:::1"), NULL);
    char hosts[256];
    dpl_ctx_t *ctx;
    dpl_req_t *req;
    dpl_conn_t *conn = NULL;
    const char *seen;

    snprintf(hosts, sizeof hosts, "%s:%s", host, peer_port(peer));
    ctx = context_over(hosts, "");
    req = bucket ? dpl_req_new(ctx) : request_new(ctx);
    if (bucket)
        dpl_req_set_bucket(req, bucket);
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "%s is connected to", host);
    seen = SSL_get_servername(peer_tls(peer, 0), TLSEXT_NAMETYPE_host_name);
    CHECK_STR(seen ? seen : "none", expected, "the name that the server is told is %s", expected);
    dpl_conn_release(conn);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void name_is_sent(void) {
    check_server_name("127.0.0.1", "localhost", NULL, "localhost");
}

static void name_of_a_virtual_host_is_sent(void) {
    resolve_test_names();
    check_server_name("127.0.0.1", "host.test", "bucket", "bucket.host.test");
}

static void address_is_no_name(void) {
    check_server_name("127.0.0.1", "127.0.0.1", NULL, "none");
}

static void address_of_ipv6_is_no_name(void) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0)
        check_server_name("::1", "[::1]", NULL, "none");
    else
        check_skip("no IPv6 here");
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_handshake");
    RUN(silent_server_is_a_timeout);
    RUN(half_a_record_is_a_timeout);
    RUN(trickle_is_a_timeout);
    RUN(signals_do_not_prolong_a_handshake);
    RUN(reset_is_a_failure);
    RUN(close_is_a_failure);
    RUN(reset_between_flights_is_a_failure);
    RUN(plain_http_is_a_failure);
    RUN(alert_is_a_failure);
    RUN(another_host_takes_over);
    RUN(late_handshake_joins_the_pool);
    RUN(signals_do_not_disturb_a_handshake);
    RUN(connection_has_what_a_reader_needs);
    RUN(shared_settings_stay_as_they_were);
    RUN(name_is_sent);
    RUN(name_of_a_virtual_host_is_sent);
    RUN(address_is_no_name);
    RUN(address_of_ipv6_is_no_name);
    return test_end();
}
