/* Servers that send messages of TLS itself without end, and options of the program on its socket. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/idle.h"
#include "support/logs.h"

/* Longer than any bound here. */
#define FLOOD_SECONDS patience(10)

/* ---- requests for a handshake, instead of a handshake -------------------------------- */

/* HelloRequests (RFC 5246, section 7.4.1.1), which a client ignores. Sent many at a time, they come
 * quicker than they are read. */
static void request_handshakes(int fd) {
    static const unsigned char request[] = {22, 3, 3, 0, 4, 0, 0, 0, 0};
    static unsigned char requests[4096][sizeof request];
    double begin = seconds_now();

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        memcpy(requests[i], request, sizeof request);
    client_speaks(fd);
    while (client_stays(fd, 0) && seconds_now() < begin + FLOOD_SECONDS)
        send_raw(fd, requests, sizeof requests);
}

static void flooded_handshake_ends_with_its_time(void) {
    struct peer *peer = peer_start_at("127.0.0.1", NULL, request_handshakes);
    dpl_ctx_t *ctx = context_over(peer_name(peer), "connection_timeout = 1");
    double begin = seconds_now();

    logs_collect();
    CHECK(checkout(ctx) == NULL, "there is no connection");
    CHECK(seconds_now() - begin >= 0.9, "the server had its time");
    CHECK(in_time(begin, 4), "and no more");
    CHECK(logs_with("TLS handshake timed out") > 0, "the log says so");
    CHECK_INT(hosts_available(ctx), 0, "the host is out");
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void flooded_handshake_delays_nobody(void) {
    struct peer *flooding = peer_start_at("127.0.0.1", NULL, request_handshakes);
    struct peer *sound = peer_start(server_tls_new(NULL));
    char hosts[256];
    dpl_ctx_t *ctx;
    double begin;

    snprintf(hosts, sizeof hosts, "%s;%s", peer_name(flooding), peer_name(sound));
    ctx = context_over(hosts, "connection_timeout = 30");
    begin = seconds_now();
    for (int i = 0; i < 4; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(conn, "checkout %d has a connection", i);
        CHECK_STR(conn->port, peer_port(sound), "to the host that shakes hands");
        dpl_conn_release(conn);
    }
    CHECK(in_time(begin, 4), "long before the flood is over");
    CHECK_INT(hosts_available(ctx), 2, "nobody is blamed");
    dpl_ctx_free(ctx);
    peer_stop(flooding);
    peer_stop(sound);
}

/* ---- key updates --------------------------------------------------------------------- */

struct flood {
    SSL *server;
    int pause_ms;
    atomic_int sent;
    atomic_bool ends;
    pthread_t thread;
};

static void *update_keys(void *arg) {
    struct flood *flood = arg;
    double begin = seconds_now();

    storm_spare_thread();
    while (!flood->ends && seconds_now() < begin + FLOOD_SECONDS) {
        if (SSL_key_update(flood->server, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
            SSL_do_handshake(flood->server) != 1)
            break;
        flood->sent++;
        if (flood->pause_ms)
            sleep_ms(flood->pause_ms);
    }
    return NULL;
}

static void flood_begin(struct flood *flood, SSL *server, int pause_ms) {
    *flood = (struct flood){.server = server, .pause_ms = pause_ms};
    signal(SIGPIPE, SIG_IGN); /* the server's writes, after the client has hung up */
    REQUIRE(pthread_create(&flood->thread, NULL, update_keys, flood) == 0, "a thread floods");
    /* More than an idle connection may have. */
    REQUIRE(EVENTUALLY(flood->sent >= (pause_ms ? 1 : 1000)), "the flood begins");
    let_it_arrive();
}

static void flood_end(struct flood *flood) {
    flood->ends = true;
    pthread_join(flood->thread, NULL);
}

static void flooded_idle_connection_is_replaced(void) {
    struct line line = idle_in(TLS1_3_VERSION);
    struct flood flood;

    flood_begin(&flood, line.server, 0);
    check_replaced(&line);
    flood_end(&flood);
    line_end(line);
}

/* Few of them come before the next look. */
static void slowly_flooded_idle_connection_is_reused(void) {
    struct line line = idle_in(TLS1_3_VERSION);
    struct flood flood;

    flood_begin(&flood, line.server, 50);
    take(&line);
    CHECK_INT(line.conn->n_hits, 1, "it is the idle one");
    flood_end(&flood);
    give(&line);
    line_end(line);
}

static void read_by_ssl_read(dpl_conn_t *conn) {
    char byte;
    int n = SSL_read(conn->ssl, &byte, 1);

    CHECK(n <= 0, "SSL_read() reads nothing");
    CHECK_INT(SSL_get_error(conn->ssl, n), SSL_ERROR_WANT_READ, "and may be tried again");
}

static void read_by_reader(dpl_conn_t *conn) {
    CHECK(read_answer(conn).status != DPL_SUCCESS, "Droplet's reader has no reply");
}

static void read_by_dplx(dpl_conn_t *conn) {
    char byte;

    CHECK_INT(dplx_conn_read(conn, &byte, 1, 500), DPL_ETIMEOUT, "dplx_conn_read() times out");
}

static void read_by_dplx_at_once(dpl_conn_t *conn) {
    char byte;

    CHECK_INT(dplx_conn_read(conn, &byte, 1, 0), DPL_ETIMEOUT, "dplx_conn_read() reads nothing");
}

static void check_bounded(void (*read_one)(dpl_conn_t *conn), int pause_ms, double seconds) {
    struct line line = idle_in(TLS1_3_VERSION);
    struct flood flood;
    double begin;

    line.ctx->read_timeout = 1;
    take(&line);
    REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
    flood_begin(&flood, line.server, pause_ms);
    begin = seconds_now();
    read_one(line.conn);
    CHECK(in_time(begin, seconds), "in time");
    flood_end(&flood);
    dpl_conn_terminate(line.conn);
    line.conn = NULL;
    line_end(line);
}

static void flood_instead_of_a_reply_is_a_timeout(void) {
    check_bounded(read_by_ssl_read, 0, 4);
    check_bounded(read_by_reader, 0, 4);
    check_bounded(read_by_dplx, 0, 4);
    check_bounded(read_by_dplx_at_once, 0, 2);
}

/* The socket runs dry after each. */
static void slow_flood_instead_of_a_reply_is_a_timeout(void) {
    check_bounded(read_by_ssl_read, 300, 5);
    check_bounded(read_by_reader, 300, 5);
    check_bounded(read_by_dplx, 300, 4);
}

/* ---- what is no flood ---------------------------------------------------------------- */

struct speech {
    SSL *server;
    int pause_ms;
};

/* For more than twice the client's read_timeout, in many small records. */
static void *speak_for_long(void *arg) {
    static const char text[100] = "a piece";
    struct speech *speech = arg;
    double end = seconds_now() + 4.5;

    while (seconds_now() < end) {
        if (SSL_write(speech->server, text, sizeof text) != sizeof text)
            break;
        if (speech->pause_ms)
            sleep_ms(speech->pause_ms);
    }
    SSL_write(speech->server, "!", 1);
    return NULL;
}

static void check_long_reply_is_read(int pause_ms) {
    struct line line = idle_in(TLS1_3_VERSION);
    struct speech speech = {line.server, pause_ms};
    pthread_t speaker;
    char text[100] = "";
    int n;

    line.ctx->read_timeout = 2;
    take(&line);
    REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
    REQUIRE(pthread_create(&speaker, NULL, speak_for_long, &speech) == 0, "the server speaks");
    do
        n = SSL_read(line.conn->ssl, text, sizeof text);
    while ((n > 0 && text[n - 1] != '!') || (n < 0 && machine_is_slow()));
    CHECK(n > 0, "a reply that takes longer than read_timeout is read");
    pthread_join(speaker, NULL);
    give(&line);
    line_end(line);
}

static void long_reply_is_read(void) {
    check_long_reply_is_read(0);
    check_long_reply_is_read(50);
}

/* They are no flood yet. */
static void many_tickets_are_taken_in(void) {
    struct line line = idle_in(TLS1_3_VERSION);

    for (int i = 0; i < 300; i++)
        REQUIRE(SSL_new_session_ticket(line.server) == 1 && SSL_do_handshake(line.server) == 1,
                "the server sends a ticket");
    check_reused(&line, 1);
    line_end(line);
}

/* ---- options of the program on its socket -------------------------------------------- */

static void check_nothing_to_read(struct line *line) {
    double begin = seconds_now(); /* read_timeout is 10 s */

    read_by_ssl_read(line->conn);
    CHECK(in_time(begin, 4), "in time");
    fcntl(line->conn->fd, F_SETFL, 0);
    CHECK(peer_to_client(line->server, line->conn, "what comes later"), "it is read later");
}

static void nonblocking_socket_is_not_waited_for(void) {
    for (size_t i = 0; i < 2; i++) {
        struct line line = connect_in(tls_versions[i], 2);

        REQUIRE(fcntl(line.conn->fd, F_SETFL, O_NONBLOCK) == 0, "the socket is non-blocking");
        read_by_ssl_read(line.conn); /* takes the tickets in */
        check_nothing_to_read(&line);
        line_end(line);
    }
}

static void timeout_of_the_socket_is_kept(void) {
    struct line line = connect_in(TLS1_3_VERSION, 2);
    struct timeval timeout = {.tv_usec = 300000};
    double begin = seconds_now();

    setsockopt(line.conn->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    check_nothing_to_read(&line);
    CHECK(seconds_now() - begin >= 0.25, "it is waited for");
    line_end(line);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_flood");
    RUN(flooded_handshake_ends_with_its_time);
    RUN(flooded_handshake_delays_nobody);
    RUN(flooded_idle_connection_is_replaced);
    RUN(slowly_flooded_idle_connection_is_reused);
    RUN(flood_instead_of_a_reply_is_a_timeout);
    RUN(slow_flood_instead_of_a_reply_is_a_timeout);
    RUN(long_reply_is_read);
    RUN(many_tickets_are_taken_in);
    RUN(nonblocking_socket_is_not_waited_for);
    RUN(timeout_of_the_socket_is_kept);
    return test_end();
}
