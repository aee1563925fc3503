/* Idle TLS connections: checkout reads what TLS itself sends, and closes them for all else. */
#include <stdlib.h>
#include <sys/socket.h>

#include "support/check.h"
#include "support/client.h"
#include "support/idle.h"

static void check_reused_after(void (*act)(SSL *server), int version) {
    struct line line = idle_in(version);

    for (unsigned hits = 1; hits <= 3; hits++) {
        act(line.server);
        check_reused(&line, hits);
    }
    line_end(line);
}

static void check_replaced_after(void (*act)(struct line *line)) {
    for (size_t i = 0; i < 2; i++) {
        struct line line = idle_in(tls_versions[i]);

        act(&line);
        check_replaced(&line);
        line_end(line);
    }
}

/* ---- what belongs to TLS ----------------------------------------------------------- */

static void do_nothing(SSL *server) {
    (void)server;
}

static void silent_connection_is_reused(void) {
    for (size_t i = 0; i < 2; i++)
        check_reused_after(do_nothing, tls_versions[i]);
}

/* The tickets lie unread on the wire: the first request's reply never came. */
static void tickets_with_the_handshake_are_taken_in(void) {
    static const size_t counts[] = {0, 1, 2, 20};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct line line = connect_in(TLS1_3_VERSION, counts[i]);

        give(&line);
        check_reused(&line, 1);
        check_reused(&line, 2);
        line_end(line);
    }
}

static void tickets_of_tls_1_2_are_taken_in(void) {
    struct line line = connect_in(TLS1_2_VERSION, 1);

    give(&line);
    check_reused(&line, 1);
    line_end(line);
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
    return test_end();
}
