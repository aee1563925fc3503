/* TLS connections end such that the peer is told, and nobody waits for it; a forked child tells
 * nothing. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/peer.h"

enum { MANY = 20 };

struct pair {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

static struct pair pair_in(int version) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct pair pair;

    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    pair.peer = peer_start(tls);
    pair.ctx = context_over(peer_name(pair.peer), "");
    REQUIRE(pair.ctx, "a context is made");
    return pair;
}

static void end(struct pair pair) {
    dpl_ctx_free(pair.ctx);
    peer_stop(pair.peer);
}

/* ---- the end of a connection ------------------------------------------------------- */

/* Did the peer get a close_notify, not just the end of the stream? */
static bool is_told(SSL *peer) {
    char byte;
    int n = SSL_read(peer, &byte, 1);

    return SSL_get_error(peer, n) == SSL_ERROR_ZERO_RETURN &&
           SSL_get_shutdown(peer) & SSL_RECEIVED_SHUTDOWN;
}

static void terminate(struct pair pair, dpl_conn_t *conn) {
    (void)pair;
    dpl_conn_terminate(conn);
}

static void release_and_free(struct pair pair, dpl_conn_t *conn) {
    (void)pair;
    dpl_conn_release(conn);
    dpl_conn_pool_destroy(pair.ctx);
}

static void release_and_expire(struct pair pair, dpl_conn_t *conn) {
    dpl_conn_release(conn);
    pair.ctx->conn_idle_time = 0;
    conn = checkout(pair.ctx);
    REQUIRE(conn, "the next checkout has a new connection");
    dpl_conn_terminate(conn);
}

static void release_when_worn_out(struct pair pair, dpl_conn_t *conn) {
    dpl_conn_release(conn);
    pair.ctx->n_conn_max_hits = 0;
    conn = checkout(pair.ctx);
    REQUIRE(conn, "the next checkout has a new connection");
    dpl_conn_terminate(conn);
}

static void check_goodbye(const char *how, void (*finish)(struct pair pair, dpl_conn_t *conn)) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct pair pair = pair_in(versions[i]);
        dpl_conn_t *conn = checkout(pair.ctx);
        double begin;

        REQUIRE(conn && converse_with(conn, peer_tls(pair.peer, 0)), "a request is answered");
        begin = seconds_now();
        finish(pair, conn);
        CHECK(in_time(begin, 2), "%s: the peer is not waited for", how);
        CHECK(is_told(peer_tls(pair.peer, 0)), "but told");
        end(pair);
    }
}

static void peer_is_told_of_an_orderly_end(void) {
    check_goodbye("terminated", terminate);
    check_goodbye("context freed", release_and_free);
    check_goodbye("idle for too long", release_and_expire);
    check_goodbye("used often enough", release_when_worn_out);
}

/* The peer's window is full, so its goodbye cannot be sent: then it goes without one. */
static void full_pipe_is_not_waited_for(void) {
    struct pair pair = pair_in(TLS1_3_VERSION);
    dpl_conn_t *conn = checkout(pair.ctx);
    char bytes[4096] = "";
    ssize_t n;
    double begin;

    REQUIRE(conn && converse_with(conn, peer_tls(pair.peer, 0)), "a request is answered");
    do
        n = send(conn->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n > 0);
    begin = seconds_now();
    dpl_conn_terminate(conn);
    CHECK(in_time(begin, 2),
          "a connection that takes no byte is closed at once");
    CHECK_INT(pair.ctx->n_conn_fds, 0, "and counted no more");
    end(pair);
}

/* A peer that has gone gets a goodbye that nobody hears: no signal comes of that. */
static void end_of_a_dead_connection_is_quiet(void) {
    for (int i = 0; i < MANY; i++) {
        struct pair pair = pair_in(TLS1_3_VERSION);
        dpl_conn_t *conn = checkout(pair.ctx);

        REQUIRE(conn && converse_with(conn, peer_tls(pair.peer, 0)), "a request is answered");
        peer_reset(pair.peer, 0);
        dpl_conn_terminate(conn);
        end(pair);
    }
    CHECK(true, "20 connections that were reset are closed");
}

/* ---- forks ------------------------------------------------------------------------- */

/* Bytes that the server's end of a connection has received, read or not. */
static long received(SSL *peer) {
    static char bytes[64 * 1024];
    ssize_t waiting = recv(SSL_get_fd(peer), bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    return (long)BIO_number_read(SSL_get_rbio(peer)) + (waiting > 0 ? waiting : 0);
}

static void free_context(struct pair pair, dpl_conn_t *conn) {
    (void)conn;
    dpl_ctx_free(pair.ctx);
}

static void give_back(struct pair pair, dpl_conn_t *conn) {
    dpl_conn_release(conn);
    dpl_ctx_free(pair.ctx);
}

static void terminate_and_free(struct pair pair, dpl_conn_t *conn) {
    dpl_conn_terminate(conn);
    dpl_ctx_free(pair.ctx);
}

static void connect_anew(struct pair pair, dpl_conn_t *conn) {
    dpl_conn_t *own = checkout(pair.ctx);

    (void)conn;
    if (!own || own->n_hits > 0)
        end_child(false);
    dpl_conn_release(own);
    dpl_ctx_free(pair.ctx);
}

static void check_child_is_silent(const char *what, void (*act)(struct pair, dpl_conn_t *)) {
    struct pair pair = pair_in(TLS1_3_VERSION);
    dpl_conn_t *used = checkout(pair.ctx);
    dpl_conn_t *idle = checkout(pair.ctx);
    long before[2];
    pid_t child;

    REQUIRE(used && idle && converse_with(used, peer_tls(pair.peer, 0)) &&
                converse_with(idle, peer_tls(pair.peer, 1)),
            "two connections serve");
    dpl_conn_release(idle);
    for (int i = 0; i < 2; i++)
        before[i] = received(peer_tls(pair.peer, i));
    child = fork();
    if (child == 0) {
        alarm((unsigned)patience(20));
        act(pair, used);
        end_child(true);
    }
    CHECK(ended_well(child), "a child: %s", what);
    sleep_ms(200);
    for (int i = 0; i < 2; i++)
        CHECK_INT(received(peer_tls(pair.peer, i)) - before[i], 0,
                  "not a byte on the parent's %s connection", i ? "idle" : "used");
    CHECK(converse_with(used, peer_tls(pair.peer, 0)), "which the parent goes on using");
    idle = checkout(pair.ctx);
    CHECK(idle && idle->n_hits == 1 && converse_with(idle, peer_tls(pair.peer, 1)), "and reuses");
    dpl_conn_release(used);
    dpl_conn_release(idle);
    end(pair);
}

static void child_says_no_goodbye(void) {
    check_child_is_silent("frees the context", free_context);
    check_child_is_silent("gives a connection back", give_back);
    check_child_is_silent("terminates a connection", terminate_and_free);
    check_child_is_silent("connects anew", connect_anew);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_end");
    RUN(peer_is_told_of_an_orderly_end);
    RUN(full_pipe_is_not_waited_for);
    RUN(end_of_a_dead_connection_is_quiet);
    RUN(child_says_no_goodbye);
    return test_end();
}
