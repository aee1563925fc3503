/* Idle TLS connections: what TLS itself sends on them is taken in, all else disqualifies them. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/peer.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* One connection that has served a request. */
struct line {
    struct peer *peer;
    SSL *server;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
};

static struct line connect_in(int version, size_t tickets) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct line line;

    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    SSL_CTX_set_num_tickets(tls, tickets);
    line.peer = peer_start(tls);
    line.ctx = context_over(peer_name(line.peer), "read_timeout = 10");
    line.conn = checkout(line.ctx);
    line.server = peer_tls(line.peer, 0);
    REQUIRE(line.conn && line.server, "a connection is made");
    REQUIRE(SSL_version(line.conn->ssl) == version, "by %s", SSL_get_version(line.conn->ssl));
    return line;
}

static struct line idle_in(int version) {
    struct line line = connect_in(version, 2);

    REQUIRE(converse_with(line.conn, line.server), "it serves a request");
    dpl_conn_release(line.conn);
    line.conn = NULL;
    return line;
}

static void end(struct line line) {
    if (line.conn)
        dpl_conn_release(line.conn);
    dpl_ctx_free(line.ctx);
    peer_stop(line.peer);
}

/* What the server does, the client's kernel knows a moment later. */
static void let_it_arrive(void) {
    sleep_ms(50);
}

/* Gets the next connection, never waiting for a peer that keeps silent. */
static void take(struct line *line) {
    double begin = seconds_now();

    let_it_arrive();
    line->conn = checkout(line->ctx);
    REQUIRE(line->conn, "the next checkout has a connection");
    CHECK(seconds_now() - begin < patience(2), "without waiting");
}

static void give(struct line *line) {
    dpl_conn_release(line->conn);
    line->conn = NULL;
}

static void check_reused(struct line *line, unsigned hits) {
    take(line);
    CHECK_INT(line->conn->n_hits, hits, "it is the idle one");
    CHECK_INT(peer_accepted(line->peer), 1, "there is no other");
    CHECK(converse_with(line->conn, line->server), "and serves a request");
    give(line);
}

static void check_replaced(struct line *line) {
    take(line);
    CHECK_INT(line->conn->n_hits, 0, "it is a new one");
    CHECK_INT(peer_accepted(line->peer), 2, "the second");
    CHECK(converse_with(line->conn, peer_tls(line->peer, 1)), "and serves a request");
    CHECK_INT(line->ctx->n_conn_fds, 1, "the old one is closed");
    CHECK_INT(hosts_available(line->ctx), 1, "the host is not blamed");
    give(line);
}

static void check_reused_after(void (*act)(SSL *server), int version) {
    struct line line = idle_in(version);

    for (unsigned hits = 1; hits <= 3; hits++) {
        act(line.server);
        check_reused(&line, hits);
    }
    end(line);
}

static void check_replaced_after(void (*act)(struct line *line)) {
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct line line = idle_in(versions[i]);

        act(&line);
        check_replaced(&line);
        end(line);
    }
}

/* ---- what belongs to TLS ----------------------------------------------------------- */

static void do_nothing(SSL *server) {
    (void)server;
}

static void silent_connection_is_reused(void) {
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        check_reused_after(do_nothing, versions[i]);
}

/* The tickets lie unread on the wire: the first request's reply never came. */
static void tickets_with_the_handshake_are_taken_in(void) {
    static const size_t counts[] = {0, 1, 2, 20};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct line line = connect_in(TLS1_3_VERSION, counts[i]);

        give(&line);
        check_reused(&line, 1);
        check_reused(&line, 2);
        end(line);
    }
}

static void tickets_of_tls_1_2_are_taken_in(void) {
    struct line line = connect_in(TLS1_2_VERSION, 1);

    give(&line);
    check_reused(&line, 1);
    end(line);
}

static void send_ticket(SSL *server) {
    REQUIRE(SSL_new_session_ticket(server) == 1 && SSL_do_handshake(server) == 1,
            "the server sends a ticket");
}

static void late_ticket_is_taken_in(void) {
    check_reused_after(send_ticket, TLS1_3_VERSION);
}

static void update_key(SSL *server) {
    REQUIRE(SSL_key_update(server, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
                SSL_do_handshake(server) == 1,
            "the server changes its key");
}

static void update_both_keys(SSL *server) {
    REQUIRE(SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(server) == 1,
            "the server changes its key and asks for ours to be changed");
}

static void key_update_is_taken_in(void) {
    check_reused_after(update_key, TLS1_3_VERSION);
}

static void request_for_a_key_update_is_taken_in(void) {
    check_reused_after(update_both_keys, TLS1_3_VERSION);
}

static void send_much(SSL *server) {
    for (int i = 0; i < 10; i++) {
        send_ticket(server);
        update_key(server);
        update_both_keys(server);
    }
}

static void much_at_once_is_taken_in(void) {
    check_reused_after(send_much, TLS1_3_VERSION);
}

/* ---- what does not ----------------------------------------------------------------- */

static void say_goodbye(struct line *line) {
    SSL_shutdown(line->server);
}

static void goodbye_disqualifies(void) {
    check_replaced_after(say_goodbye);
}

static void say_goodbye_after_a_ticket(struct line *line) {
    if (SSL_version(line->server) == TLS1_3_VERSION)
        send_ticket(line->server);
    SSL_shutdown(line->server);
}

static void goodbye_after_a_ticket_disqualifies(void) {
    check_replaced_after(say_goodbye_after_a_ticket);
}

/* Garbage from the client's side of the wire makes the server send a fatal alert. */
static void provoke_alert(struct line *line) {
    static const unsigned char garbage[] = {23,  3,   3,   0,   32,  'n', 'o', 't', ' ', 'a',
                                            ' ', 'r', 'e', 'c', 'o', 'r', 'd', ' ', 'o', 'f',
                                            ' ', 'a', 'n', 'y', ' ', 'k', 'e', 'y', ' ', 'a',
                                            't', ' ', 'a', 'l', 'l', '.', '.'};
    char byte;

    line->conn = checkout(line->ctx);
    REQUIRE(send(line->conn->fd, garbage, sizeof garbage, MSG_NOSIGNAL) == sizeof garbage,
            "garbage is sent");
    give(line);
    REQUIRE(SSL_read(line->server, &byte, 1) < 0, "the server answers with an alert");
}

static void alert_disqualifies(void) {
    check_replaced_after(provoke_alert);
}

static void speak_unasked(struct line *line) {
    REQUIRE(SSL_write(line->server, "HTTP/1.1 408 Request Timeout\r\n\r\n", 32) == 32,
            "the server says what nobody asked for");
}

static void unasked_bytes_disqualify(void) {
    check_replaced_after(speak_unasked);
}

static void speak_unasked_after_a_ticket(struct line *line) {
    if (SSL_version(line->server) == TLS1_3_VERSION)
        send_ticket(line->server);
    speak_unasked(line);
}

static void unasked_bytes_after_a_ticket_disqualify(void) {
    check_replaced_after(speak_unasked_after_a_ticket);
}

static void reset(struct line *line) {
    peer_reset(line->peer, 0);
}

static void reset_disqualifies(void) {
    check_replaced_after(reset);
}

static void reset_after_a_ticket(struct line *line) {
    if (SSL_version(line->server) == TLS1_3_VERSION)
        send_ticket(line->server);
    let_it_arrive();
    peer_reset(line->peer, 0);
}

static void reset_after_a_ticket_disqualifies(void) {
    check_replaced_after(reset_after_a_ticket);
}

static void close_wordlessly(struct line *line) {
    peer_close(line->peer, 0);
}

static void close_disqualifies(void) {
    check_replaced_after(close_wordlessly);
}

static void close_wordlessly_after_a_ticket(struct line *line) {
    if (SSL_version(line->server) == TLS1_3_VERSION)
        send_ticket(line->server);
    peer_close(line->peer, 0);
}

static void close_after_a_ticket_disqualifies(void) {
    check_replaced_after(close_wordlessly_after_a_ticket);
}

static void send_raw_garbage(struct line *line) {
    REQUIRE(send(SSL_get_fd(line->server), "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL) == 19,
            "the server sends what is no record");
}

static void garbage_disqualifies(void) {
    check_replaced_after(send_raw_garbage);
}

/* ---- in between -------------------------------------------------------------------- */

static const unsigned char half[] = {23, 3, 3, 0, 80, 1, 2, 3};

/* What it will be, once it is whole, nobody knows: it is not waited for. */
static void half_a_record_disqualifies(void) {
    for (size_t length = 1; length <= sizeof half; length += 2) {
        struct line line = idle_in(TLS1_3_VERSION);

        send(SSL_get_fd(line.server), half, length, MSG_NOSIGNAL);
        check_replaced(&line);
        end(line);
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
    end(line);
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
    end(line);
}

static void unread_bytes_are_not_pooled(void) {
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct line line = connect_in(versions[i], 2);
        char bytes[4];

        REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
        REQUIRE(SSL_write(line.server, "its reply", 9) == 9, "and answered");
        CHECK_INT(SSL_read(line.conn->ssl, bytes, sizeof bytes), 4, "a part of the reply is read");
        CHECK_INT(SSL_pending(line.conn->ssl), 5, "the rest waits in the SSL");
        give(&line);
        CHECK_INT(line.ctx->n_conn_fds, 0, "released, the connection is closed");
        check_replaced(&line);
        end(line);
    }
}

static void unread_reply_disqualifies(void) {
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct line line = connect_in(versions[i], 2);

        REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
        REQUIRE(SSL_write(line.server, "its reply", 9) == 9, "and answered too late");
        give(&line);
        CHECK_INT(line.ctx->n_conn_fds, 0, "released, the connection is closed");
        check_replaced(&line);
        end(line);
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
    end(line);
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
    end(line);
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
    end(line);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_idle");
    RUN(silent_connection_is_reused);
    RUN(tickets_with_the_handshake_are_taken_in);
    RUN(tickets_of_tls_1_2_are_taken_in);
    RUN(late_ticket_is_taken_in);
    RUN(key_update_is_taken_in);
    RUN(request_for_a_key_update_is_taken_in);
    RUN(much_at_once_is_taken_in);
    RUN(goodbye_disqualifies);
    RUN(goodbye_after_a_ticket_disqualifies);
    RUN(alert_disqualifies);
    RUN(unasked_bytes_disqualify);
    RUN(unasked_bytes_after_a_ticket_disqualify);
    RUN(reset_disqualifies);
    RUN(reset_after_a_ticket_disqualifies);
    RUN(close_disqualifies);
    RUN(close_after_a_ticket_disqualifies);
    RUN(garbage_disqualifies);
    RUN(half_a_record_disqualifies);
    RUN(half_a_record_that_was_read_is_not_pooled);
    RUN(request_for_a_handshake_is_not_waited_for);
    RUN(unread_bytes_are_not_pooled);
    RUN(unread_reply_disqualifies);
    RUN(reply_is_not_taken_for_come_when_tickets_came);
    RUN(what_openssl_writes_by_itself_asks_for_nothing);
    RUN(read_timeout_of_0_waits);
    RUN(older_ones_are_closed_with_a_stale_one);
    return test_end();
}
