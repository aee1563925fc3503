/* OpenSSL's queue of errors belongs to the program: no call of ours adds to it or takes from it. */
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/error_queue.h"
#include "support/peer.h"

enum { MIB = 1024 * 1024 };

/* Acts of the server, and reads of the program, are not the library's: another thread does them, and each
 * thread has a queue of its own. */
static void elsewhere(void *(*act)(void *), void *arg) {
    pthread_t thread;

    pthread_create(&thread, NULL, act, arg);
    pthread_join(thread, NULL);
}

/* ---- calls that succeed ------------------------------------------------------------ */

static void *read_reply(void *conn) {
    REQUIRE(read_answer(conn).number == 7, "a request is answered");
    return NULL;
}

static void serve(void *ctx) {
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn, "a connection is made");
    REQUIRE(write_string(conn, "GET / HTTP/1.1\r\nX-Number: 7\r\n\r\n", 5) == DPL_SUCCESS,
            "a request is written");
    elsewhere(read_reply, conn);
    dpl_conn_release(conn);
}

static void connect_and_terminate(void *ctx) {
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn, "a connection is made");
    dpl_conn_terminate(conn);
}

static void use_new_connection(void *ctx) {
    ((dpl_ctx_t *)ctx)->n_conn_max_hits = 0;
    serve(ctx);
}

static void good_calls_leave_the_queue(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");

    check_leaves_queue("a request", serve, ctx);
    check_leaves_queue("a connection terminated", connect_and_terminate, ctx);
    check_leaves_queue("a session resumed", use_new_connection, ctx);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- calls that fail --------------------------------------------------------------- */

static void fail_to_connect(void *ctx) {
    ((dpl_ctx_t *)ctx)->blacklist_expiretime = 0;
    REQUIRE(checkout(ctx) == NULL, "there is no connection");
}

static void speak_plain_http(int fd) {
    client_speaks(fd);
    send_raw(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void hang_up(int fd) {
    client_speaks(fd);
}

static void stay_silent(int fd) {
    client_stays(fd, 30000);
}

static void check_failing_handshake(const char *what, SSL_CTX *tls, void (*treat)(int fd)) {
    struct peer *peer = peer_start_at("127.0.0.1", tls, treat);
    dpl_ctx_t *ctx = context_over(peer_name(peer), "connection_timeout = 1");

    check_leaves_queue(what, fail_to_connect, ctx);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void failed_handshakes_leave_the_queue(void) {
    check_failing_handshake("plain HTTP", NULL, speak_plain_http);
    check_failing_handshake("hung up", NULL, hang_up);
    check_failing_handshake("silent", NULL, stay_silent);
    check_failing_handshake("untrusted", server_tls_flawed(NULL, UNTRUSTED), NULL);
    check_failing_handshake("expired", server_tls_flawed(NULL, EXPIRED), NULL);
    check_failing_handshake("wrong address", server_tls_new("IP:127.0.0.2"), NULL);
}

static void write_to_the_gone(void *arg) {
    dpl_ctx_t *ctx = arg;
    dpl_status_t status = DPL_SUCCESS;
    dpl_conn_t *conn;

    ctx->blacklist_expiretime = 0;
    conn = checkout(ctx);
    REQUIRE(conn, "a connection is made");
    for (int i = 0; i < 100 && status == DPL_SUCCESS; i++) {
        status = write_string(conn, "anybody there?", 1);
        sleep_ms(5);
    }
    REQUIRE(status == DPL_FAILURE, "a write fails");
    write_string(conn, "and again", 1);
    dpl_conn_release(conn);
}

/* Shakes hands, then reads a byte and resets. */
static void accept_and_reset(int fd) {
    static SSL_CTX *tls;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    SSL *ssl;
    char byte;

    if (!tls)
        tls = server_tls_new(NULL);
    ssl = SSL_new(tls);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1)
        SSL_read(ssl, &byte, 1);
    SSL_free(ssl);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void failed_writes_leave_the_queue(void) {
    struct peer *peer = peer_start_at("127.0.0.1", NULL, accept_and_reset);
    dpl_ctx_t *ctx = context_over(peer_name(peer), "");

    check_leaves_queue("a reset", write_to_the_gone, ctx);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void write_to_the_stalled(void *arg) {
    static char bytes[16 * MIB];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    dpl_ctx_t *ctx = arg;
    dpl_conn_t *conn;

    ctx->blacklist_expiretime = 0;
    conn = checkout(ctx);
    REQUIRE(conn, "a connection is made");
    REQUIRE(dpl_conn_writev_all(conn, &iov, 1, 0) == DPL_ETIMEOUT, "a write times out");
    REQUIRE(write_string(conn, "again", 0) != DPL_SUCCESS, "so does the next, or fails");
    dpl_conn_terminate(conn);
}

static void timeouts_leave_the_queue(void) {
    struct peer *peer = peer_start(server_tls_new(NULL));
    dpl_ctx_t *ctx = context_over(peer_name(peer), "");

    check_leaves_queue("a timeout", write_to_the_stalled, ctx);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

/* ---- idle connections -------------------------------------------------------------- */

/* Spoils the idle connection and gets another. */
struct spoiling {
    struct peer *peer;
    dpl_ctx_t *ctx;
    void (*spoil)(struct peer *peer, int n);
};

static void check_out_spoilt(void *arg) {
    struct spoiling *it = arg;
    dpl_conn_t *conn;

    it->spoil(it->peer, peer_accepted(it->peer) - 1);
    sleep_ms(200);
    conn = checkout(it->ctx);
    REQUIRE(conn, "the next checkout has a connection");
    dpl_conn_release(conn);
}

static void *goodbye_of(void *ssl) {
    SSL_shutdown(ssl);
    return NULL;
}

static void *ticket_of(void *ssl) {
    SSL_new_session_ticket(ssl);
    SSL_do_handshake(ssl);
    return NULL;
}

static void *words_of(void *ssl) {
    SSL_write(ssl, "unasked", 7);
    return NULL;
}

static void say_goodbye(struct peer *peer, int n) {
    elsewhere(goodbye_of, peer_tls(peer, n));
}

static void send_ticket(struct peer *peer, int n) {
    elsewhere(ticket_of, peer_tls(peer, n));
}

static void speak_unasked(struct peer *peer, int n) {
    elsewhere(words_of, peer_tls(peer, n));
}

static void send_garbage(struct peer *peer, int n) {
    send_raw(SSL_get_fd(peer_tls(peer, n)), "HTTP/1.1 200 OK\r\n\r\n", 19);
}

static void check_spoilt(const char *what, void (*spoil)(struct peer *peer, int n)) {
    struct spoiling it = {.peer = peer_start(server_tls_new(NULL)), .spoil = spoil};
    dpl_conn_t *conn;

    it.ctx = context_over(peer_name(it.peer), "");
    conn = checkout(it.ctx);
    REQUIRE(conn, "a connection is made");
    dpl_conn_release(conn);
    check_leaves_queue(what, check_out_spoilt, &it);
    dpl_ctx_free(it.ctx);
    peer_stop(it.peer);
}

static void idle_connections_leave_the_queue(void) {
    check_spoilt("a ticket", send_ticket);
    check_spoilt("a goodbye", say_goodbye);
    check_spoilt("unasked bytes", speak_unasked);
    check_spoilt("garbage", send_garbage);
    check_spoilt("a reset", peer_reset);
    check_spoilt("a close", peer_close);
}

static void free_with_idle(void *server) {
    dpl_ctx_t *ctx;

    ctx = context_over_server(server, "");
    serve(ctx);
    dpl_ctx_free(ctx);
}

static void end_of_a_context_leaves_the_queue(void) {
    struct server *server = server_answering(1);

    check_leaves_queue("a context", free_with_idle, server);
    server_stop(server);
}

/* A queue that is full, and one error more would push the first one out. */
static void full_queue_stays_full(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    int good = 0;

    ERR_clear_error();
    for (int i = 1; i <= 15; i++)
        ERR_raise(ERR_LIB_USER, i);
    serve(ctx);
    connect_and_terminate(ctx);
    for (int i = 1; i <= 15; i++)
        good += ERR_GET_REASON(ERR_get_error()) == i;
    CHECK_INT(good, 15, "15 errors, all that a queue holds, stay");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Marks of the program's: one on its first error, two on its second. */
static void check_leaves_marks(const char *what, void (*act)(void *), void *arg) {
    bool good;

    raise_own(1);
    ERR_set_mark();
    ERR_raise(ERR_LIB_USER, 2);
    ERR_set_mark();
    ERR_set_mark();
    ERR_raise(ERR_LIB_USER, 3);
    act(arg);
    good = ERR_GET_REASON(ERR_peek_last_error()) == 3 && ERR_pop_to_mark() && ERR_pop_to_mark() &&
           ERR_GET_REASON(ERR_peek_last_error()) == 2 && ERR_pop_to_mark();
    CHECK(good, "%s: the program's marks stay", what);
    CHECK(are_own(1) && !ERR_peek_error(), "%s: and what lies below them", what);
}

static void marks_stay(void) {
    struct server *server = server_answering(1);
    struct peer *hanging = peer_start_at("127.0.0.1", NULL, hang_up);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_ctx_t *vain = context_over(peer_name(hanging), "");

    check_leaves_marks("a request", serve, ctx);
    check_leaves_marks("another", use_new_connection, ctx);
    check_leaves_marks("a failed handshake", fail_to_connect, vain);
    dpl_ctx_free(vain);
    dpl_ctx_free(ctx);
    peer_stop(hanging);
    server_stop(server);
}

/* ---- reads of the program's own ---------------------------------------------------- */

/* SSL_read() is the program's call, and its errors are meant for the program. */
static void errors_of_a_read_are_the_programs(void) {
    struct peer *peer = peer_start(server_tls_new(NULL));
    dpl_ctx_t *ctx = context_over(peer_name(peer), "read_timeout = 1");
    dpl_conn_t *conn = checkout(ctx);
    unsigned long reason;
    char byte;
    int n;

    REQUIRE(conn && peer_tls(peer, 0), "a connection is made");
    ERR_clear_error();
    n = SSL_read(conn->ssl, &byte, 1);
    CHECK_INT(SSL_get_error(conn->ssl, n), SSL_ERROR_WANT_READ, "a read that times out");
    CHECK(ERR_peek_error() == 0, "leaves no error");
    send_garbage(peer, 0);
    n = SSL_read(conn->ssl, &byte, 1);
    CHECK_INT(SSL_get_error(conn->ssl, n), SSL_ERROR_SSL, "one that meets garbage");
    reason = ERR_peek_error();
    CHECK_INT(ERR_GET_LIB(reason), ERR_LIB_SSL, "leaves its reason");
    dpl_conn_release(conn);
    CHECK(ERR_peek_error() == reason, "which stays when the connection is given back");
    ERR_clear_error();
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_errors");
    RUN(good_calls_leave_the_queue);
    RUN(failed_handshakes_leave_the_queue);
    RUN(failed_writes_leave_the_queue);
    RUN(timeouts_leave_the_queue);
    RUN(idle_connections_leave_the_queue);
    RUN(end_of_a_context_leaves_the_queue);
    RUN(full_queue_stays_full);
    RUN(marks_stay);
    RUN(errors_of_a_read_are_the_programs);
    return test_end();
}
