/* TLS connections with half a record, a reply or a request under way at release or checkout. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/idle.h"

static void update_both_keys(SSL *server) {
    REQUIRE(SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(server) == 1,
            "the server changes its key and asks for ours to be changed");
}

static const unsigned char half[] = {23, 3, 3, 0, 80, 1, 2, 3};

/* A record that is not there as a whole is not waited for. */
static void half_a_record_disqualifies(void) {
    for (size_t length = 1; length <= sizeof half; length += 2) {
        struct line line = idle_in(TLS1_3_VERSION);

        send(SSL_get_fd(line.server), half, length, MSG_NOSIGNAL);
        check_replaced(&line);
        line_end(line);
    }
}

static void half_a_record_that_was_read_is_not_pooled(void) {
    struct line line = idle_in(TLS1_3_VERSION);
    char byte;

    line.ctx->read_timeout = 1;
    take(&line);
    send(SSL_get_fd(line.server), half, sizeof half, MSG_NOSIGNAL);
    let_it_arrive();
    CHECK(SSL_read(line.conn->ssl, &byte, 1) < 0, "half a record is nothing to read");
    give(&line);
    CHECK_INT(line.ctx->n_conn_fds, 0, "the connection is closed");
    line_end(line);
}

/* A server of TLS 1.2 may ask for another handshake at any time. */
static void request_for_a_handshake_is_not_waited_for(void) {
    struct line line = idle_in(TLS1_2_VERSION);

    REQUIRE(SSL_renegotiate(line.server) == 1 && SSL_do_handshake(line.server) == 1,
            "the server asks for a handshake");
    take(&line);
    give(&line);
    take(&line);
    give(&line);
    line_end(line);
}

/* Reads a request, and does what is left of a handshake first. */
static void *read_request(void *server) {
    char text[16];

    return SSL_read(server, text, sizeof text) == 9 ? server : NULL;
}

/* The checkout has begun the handshake that the server asked for, so the write goes on with it. */
static void write_ends_a_handshake_that_was_asked_for(void) {
    struct line line = idle_in(TLS1_2_VERSION);
    pthread_t reader;
    void *was_read = NULL;

    REQUIRE(SSL_renegotiate(line.server) == 1 && SSL_do_handshake(line.server) == 1,
            "the server asks for a handshake");
    take(&line);
    pthread_create(&reader, NULL, read_request, line.server);
    CHECK_STATUS(write_string(line.conn, "a request", (int)patience(10)), DPL_SUCCESS,
                 "a request is written");
    pthread_join(reader, &was_read);
    CHECK(was_read, "the server reads it");
    line_end(line);
}

/* As above, with a server that then says nothing. */
static void write_does_not_wait_for_a_handshake_for_ever(void) {
    struct line line = idle_in(TLS1_2_VERSION);
    double start;

    REQUIRE(SSL_renegotiate(line.server) == 1 && SSL_do_handshake(line.server) == 1,
            "the server asks for a handshake");
    take(&line);
    start = seconds_now();
    CHECK_STATUS(write_string(line.conn, "a request", 1), DPL_ETIMEOUT, "the server is silent");
    CHECK(in_time(start, 5), "which is told in time");
    line_end(line);
}

static void unread_bytes_are_not_pooled(void) {
    for (size_t i = 0; i < 2; i++) {
        struct line line = connect_in(tls_versions[i], 2);
        char bytes[4];

        REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
        REQUIRE(SSL_write(line.server, "its reply", 9) == 9, "and answered");
        CHECK_INT(SSL_read(line.conn->ssl, bytes, sizeof bytes), 4, "a part of the reply is read");
        CHECK_INT(SSL_pending(line.conn->ssl), 5, "the rest waits in the SSL");
        give(&line);
        CHECK_INT(line.ctx->n_conn_fds, 0, "released, the connection is closed");
        check_replaced(&line);
        line_end(line);
    }
}

static void unread_reply_disqualifies(void) {
    for (size_t i = 0; i < 2; i++) {
        struct line line = connect_in(tls_versions[i], 2);

        REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
        REQUIRE(SSL_write(line.server, "its reply", 9) == 9, "and answered too late");
        give(&line);
        CHECK_INT(line.ctx->n_conn_fds, 0, "released, the connection is closed");
        check_replaced(&line);
        line_end(line);
    }
}

/* Bytes came, but tickets are no reply. */
static void reply_is_not_taken_for_come_when_tickets_came(void) {
    struct line line = connect_in(TLS1_3_VERSION, 2);
    char byte;

    dpl_conn_terminate(line.conn);
    line.ctx->read_timeout = 1;
    line.conn = checkout(line.ctx);
    line.server = peer_tls(line.peer, 1);
    REQUIRE(line.conn && line.server, "a connection is made");
    REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
    CHECK(SSL_read(line.conn->ssl, &byte, 1) < 0, "its reply does not come in time, tickets do");
    give(&line);
    CHECK_INT(line.ctx->n_conn_fds, 0, "released, the connection is closed");
    line_end(line);
}

/* A request that C writes by itself is one too, and the answer to a key update is none. */
static void what_openssl_writes_by_itself_asks_for_nothing(void) {
    struct line line = connect_in(TLS1_3_VERSION, 2);

    REQUIRE(SSL_write(line.conn->ssl, "a request", 9) == 9, "the program writes a request itself");
    give(&line);
    CHECK_INT(line.ctx->n_conn_fds, 0, "released without its reply, the connection is closed");
    take(&line);
    line.server = peer_tls(line.peer, 1);
    REQUIRE(converse_with(line.conn, line.server), "another serves a request");
    give(&line);
    update_both_keys(line.server);
    let_it_arrive();
    take(&line);
    CHECK_INT(line.conn->n_hits, 1, "it is reused after a key update");
    give(&line);
    CHECK_INT(line.ctx->n_conn_fds, 1, "and kept, though that was answered");
    line_end(line);
}

/* In the original nothing bounds a read of OpenSSL's, so 0 works there. */
static void read_timeout_of_0_waits(void) {
    struct server *server =
        server_start((struct server_options){.id = 1, .think_ms = 200, .tls = TLS_ALWAYS});
    dpl_ctx_t *ctx = context_over_server(server, "read_timeout = 0");

    CHECK(answered(ctx, 1), "with read_timeout = 0 a request is answered, although not at once");
    CHECK(answered(ctx, 2), "so is another on the same connection");
    CHECK_INT(server_accepted(server), 1, "there was one");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* A server that restarts has closed all of them. */
static void older_ones_are_closed_with_a_stale_one(void) {
    struct line line = connect_in(TLS1_3_VERSION, 2);
    dpl_conn_t *conns[5] = {line.conn};

    for (int i = 1; i < 5; i++)
        conns[i] = checkout(line.ctx);
    for (int i = 0; i < 5; i++) {
        REQUIRE(conns[i] && converse_with(conns[i], peer_tls(line.peer, i)),
                "connection %d serves a request", i);
        dpl_conn_release(conns[i]);
    }
    line.conn = NULL;
    for (int i = 0; i < 5; i++)
        SSL_shutdown(peer_tls(line.peer, i));
    take(&line);
    CHECK_INT(line.conn->n_hits, 0, "it is a new one");
    CHECK_INT(line.ctx->n_conn_fds, 1, "the five old ones are closed");
    CHECK(converse_with(line.conn, peer_tls(line.peer, 5)), "it serves a request");
    line_end(line);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_unread");
    RUN(half_a_record_disqualifies);
    RUN(half_a_record_that_was_read_is_not_pooled);
    RUN(request_for_a_handshake_is_not_waited_for);
    RUN(write_ends_a_handshake_that_was_asked_for);
    RUN(write_does_not_wait_for_a_handshake_for_ever);
    RUN(unread_bytes_are_not_pooled);
    RUN(unread_reply_disqualifies);
    RUN(reply_is_not_taken_for_come_when_tickets_came);
    RUN(what_openssl_writes_by_itself_asks_for_nothing);
    RUN(read_timeout_of_0_waits);
    RUN(older_ones_are_closed_with_a_stale_one);
    return test_end();
}
