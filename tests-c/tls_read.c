/* SSL_read() by the program: read_timeout, signals, and peers that are gone. */
#include <pthread.h>
#include <stdlib.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/peer.h"

struct line {
    struct peer *peer;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
};

static struct line connect_with(const char *more) {
    struct line line = {.peer = peer_start(server_tls_new(NULL))};

    line.ctx = context_over(peer_name(line.peer), more);
    line.conn = checkout(line.ctx);
    REQUIRE(line.conn && peer_tls(line.peer, 0), "a connection is made");
    return line;
}

static void disconnect(struct line line) {
    dpl_conn_release(line.conn);
    dpl_ctx_free(line.ctx);
    peer_stop(line.peer);
}

static void check_read_times_out(dpl_conn_t *conn) {
    char byte;
    double begin = seconds_now();
    int n = SSL_read(conn->ssl, &byte, 1);
    int error = SSL_get_error(conn->ssl, n);
    double took = seconds_now() - begin;

    CHECK(n <= 0, "SSL_read() on a silent server reads nothing");
    CHECK_INT(error, SSL_ERROR_WANT_READ, "and may be tried again");
    CHECK(took >= 0.9 && in_time(begin, 3), "after read_timeout");
}

static void read_waits_for_read_timeout(void) {
    struct line line = connect_with("read_timeout = 1");

    check_read_times_out(line.conn);
    CHECK(peer_to_client(peer_tls(line.peer, 0), line.conn, "late, but not too late"),
          "what comes after it is read");
    CHECK(converse_with(line.conn, peer_tls(line.peer, 0)), "and requests are answered");
    disconnect(line);
}

static void signals_do_not_prolong_a_read(void) {
    struct line line = connect_with("read_timeout = 1");

    storm_begin(1000);
    check_read_times_out(line.conn);
    storm_end();
    CHECK(converse_with(line.conn, peer_tls(line.peer, 0)), "then a request is answered");
    disconnect(line);
}

static void *speak_later(void *peer) {
    storm_spare_thread();
    sleep_ms(300);
    SSL_write(peer_tls(peer, 0), "x", 1);
    return NULL;
}

static void signals_do_not_disturb_a_read(void) {
    struct line line = connect_with("read_timeout = 5");
    pthread_t speaker;
    char byte = 0;

    pthread_create(&speaker, NULL, speak_later, line.peer);
    storm_begin(1000);
    CHECK_INT(SSL_read(line.conn->ssl, &byte, 1), 1, "a byte comes after a while, and is read");
    storm_end();
    pthread_join(speaker, NULL);
    CHECK_INT(byte, 'x', "as it was sent");
    disconnect(line);
}

/* Programs set ctx->read_timeout whenever they like. */
static void read_timeout_is_that_of_the_checkout(void) {
    struct line line = connect_with("read_timeout = 30");

    dpl_conn_release(line.conn);
    line.ctx->read_timeout = 1;
    line.conn = checkout(line.ctx);
    REQUIRE(line.conn && line.conn->n_hits == 1, "the connection is reused");
    check_read_times_out(line.conn);
    disconnect(line);
}

static void read_timeout_is_that_of_the_opening(void) {
    struct line line = connect_with("read_timeout = 30");

    dpl_conn_release(line.conn);
    line.ctx->read_timeout = 1;
    line.conn = dpl_conn_open_host(line.ctx, AF_INET, "127.0.0.1", peer_port(line.peer));
    REQUIRE(line.conn && line.conn->n_hits == 1, "the connection is reused");
    check_read_times_out(line.conn);
    disconnect(line);
}

static void read_of_a_dead_server_fails_at_once(void) {
    struct line line = connect_with("read_timeout = 30");
    char byte;
    double begin = seconds_now();
    int n;

    peer_reset(line.peer, 0);
    n = SSL_read(line.conn->ssl, &byte, 1);
    CHECK(n <= 0, "a connection that was reset gives nothing");
    CHECK_INT(SSL_get_error(line.conn->ssl, n), SSL_ERROR_SYSCALL, "and cannot be tried again");
    CHECK(in_time(begin, 2), "at once");
    disconnect(line);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_read");
    RUN(read_waits_for_read_timeout);
    RUN(signals_do_not_prolong_a_read);
    RUN(signals_do_not_disturb_a_read);
    RUN(read_timeout_is_that_of_the_checkout);
    RUN(read_timeout_is_that_of_the_opening);
    RUN(read_of_a_dead_server_fails_at_once);
    return test_end();
}
