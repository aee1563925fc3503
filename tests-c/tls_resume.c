/* Sessions are resumed, each ticket once and for one name. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/peer.h"
#include "support/resolver.h"

enum { MANY = 20, MOST_OFFERS = 64, MOST_BYTES = 2048 };

/* ---- what clients offer to resume -------------------------------------------------- */

/* Of each ClientHello: its PSK identity or session ticket. */
static struct {
    pthread_mutex_t lock;
    int n; /* those that offered anything */
    struct {
        size_t len;
        unsigned char bytes[MOST_BYTES];
    } offers[MOST_OFFERS];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_offer(const unsigned char *bytes, size_t len) {
    pthread_mutex_lock(&seen.lock);
    if (len > 0 && len <= MOST_BYTES && seen.n < MOST_OFFERS) {
        memcpy(seen.offers[seen.n].bytes, bytes, len);
        seen.offers[seen.n++].len = len;
    }
    pthread_mutex_unlock(&seen.lock);
}

static int look_at_hello(SSL *ssl, int *alert, void *unused) {
    const unsigned char *bytes;
    size_t len;

    (void)alert;
    (void)unused;
    /* Two bytes of length for the list, two for the first identity (RFC 8446, section 4.2.11). */
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &bytes, &len) && len > 4)
        note_offer(bytes + 4, (size_t)(bytes[2] << 8 | bytes[3]));
    else if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_session_ticket, &bytes, &len))
        note_offer(bytes, len);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int offers(void) {
    int n;

    pthread_mutex_lock(&seen.lock);
    n = seen.n;
    pthread_mutex_unlock(&seen.lock);
    return n;
}

static int distinct_offers(void) {
    int distinct = 0;

    for (int i = 0; i < seen.n; i++) {
        int j = 0;

        while (j < i &&
               (seen.offers[j].len != seen.offers[i].len ||
                memcmp(seen.offers[j].bytes, seen.offers[i].bytes, seen.offers[i].len) != 0))
            j++;
        distinct += i == j;
    }
    return distinct;
}

/* ---- a server and a context over it ------------------------------------------------ */

static SSL_CTX *server_tls_in(int version, const char *names) {
    SSL_CTX *tls = server_tls_new(names);

    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    SSL_CTX_set_client_hello_cb(tls, look_at_hello, NULL);
    return tls;
}

struct pair {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

static struct pair pair_under(const char *name, SSL_CTX *tls) {
    struct pair pair = {.peer = peer_start(tls)};
    char hosts[256];

    resolve_test_names();
    snprintf(hosts, sizeof hosts, "%s:%s", name, peer_port(pair.peer));
    pair.ctx = context_over(hosts, "");
    REQUIRE(pair.ctx, "a context is made");
    logs_collect();
    return pair;
}

static struct pair pair_in(int version) {
    return pair_under("localhost", server_tls_in(version, NULL));
}

static void end(struct pair pair) {
    dpl_ctx_free(pair.ctx);
    peer_stop(pair.peer);
}

static SSL *newest(struct peer *peer) {
    return peer_tls(peer, peer_accepted(peer) - 1);
}

/* A request and its reply, on a new connection, which then is given back and not used again. */
static bool serve_once(struct pair pair, const char *bucket) {
    dpl_req_t *req = bucket ? dpl_req_new(pair.ctx) : request_new(pair.ctx);
    dpl_conn_t *conn = NULL;
    bool good;

    if (bucket)
        dpl_req_set_bucket(req, bucket);
    pair.ctx->n_conn_max_hits = 0;
    good = dpl_try_connect(pair.ctx, req, &conn) == DPL_SUCCESS && conn->n_hits == 0 &&
           converse_with(conn, newest(pair.peer));
    if (conn)
        dpl_conn_release(conn);
    dpl_req_free(req);
    return good;
}

/* How many of so many such connections the server resumed. */
static int resumed_of(struct pair pair, int n) {
    int resumed = 0;

    for (int i = 0; i < n; i++) {
        REQUIRE(serve_once(pair, NULL), "a request is answered");
        resumed += SSL_session_reused(newest(pair.peer)) == 1;
    }
    return resumed;
}

/* ---- resumption -------------------------------------------------------------------- */

static void check_resumed(SSL_CTX *tls) {
    struct pair pair = pair_under("localhost", tls);

    CHECK_INT(resumed_of(pair, 1), 0, "the first handshake is a full one");
    CHECK_INT(resumed_of(pair, MANY), MANY, "all that follow resume");
    CHECK_INT(peer_accepted(pair.peer), MANY + 1, "each on a connection of its own");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    end(pair);
}

static void sessions_are_resumed_in_1_2(void) {
    check_resumed(server_tls_in(TLS1_2_VERSION, NULL));
}

static void sessions_are_resumed_in_1_3(void) {
    check_resumed(server_tls_in(TLS1_3_VERSION, NULL));
    CHECK_INT(offers(), MANY, "20 tickets were offered");
    CHECK_INT(distinct_offers(), MANY, "no two of them the same");
}

/* Sessions that the server keeps itself, and names by an id. */
static void sessions_without_tickets_are_resumed(void) {
    SSL_CTX *tls = server_tls_in(TLS1_2_VERSION, NULL);

    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_id_context(tls, (const unsigned char *)"test", 4);
    check_resumed(tls);
}

static void server_that_gives_no_tickets_is_served(void) {
    SSL_CTX *tls = server_tls_in(TLS1_3_VERSION, NULL);
    struct pair pair;

    SSL_CTX_set_num_tickets(tls, 0);
    pair = pair_under("localhost", tls);
    CHECK_INT(resumed_of(pair, 5), 0, "five full handshakes");
    CHECK_INT(offers(), 0, "nothing was offered");
    end(pair);
}

/* As many at a time as there are; a ticket that is on its way in one handshake is not offered in
 * another. */
static void tickets_are_not_shared_by_connections_at_once(void) {
    struct pair pair = pair_in(TLS1_3_VERSION);
    dpl_conn_t *conns[8];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            conns[i] = checkout(pair.ctx);
            REQUIRE(conns[i] && converse_with(conns[i], newest(pair.peer)),
                    "round %d: connection %d serves a request", round, i);
        }
        pair.ctx->n_conn_max_hits = 0; /* none is used again */
        for (int i = 0; i < 8; i++)
            dpl_conn_release(conns[i]);
    }
    CHECK(offers() >= 8, "8 or more were offered a ticket");
    CHECK_INT(distinct_offers(), offers(), "no two the same one");
    end(pair);
}

/* A session of TLS 1.2 is no ticket: it serves any number of connections at once. */
static void session_of_1_2_is_shared_by_connections_at_once(void) {
    struct pair pair = pair_in(TLS1_2_VERSION);
    dpl_conn_t *conns[4];

    CHECK_INT(resumed_of(pair, 1), 0, "the first handshake is a full one");
    for (int i = 0; i < 4; i++) {
        conns[i] = checkout(pair.ctx);
        REQUIRE(conns[i] && newest(pair.peer), "connection %d is made", i);
        CHECK_INT(SSL_session_reused(newest(pair.peer)), 1, "and resumes the session");
    }
    for (int i = 0; i < 4; i++)
        dpl_conn_terminate(conns[i]);
    end(pair);
}

/* ---- whose sessions ---------------------------------------------------------------- */

static void check_names_do_not_share(int version) {
    struct pair pair = pair_under("host.test", server_tls_in(version, "DNS:*.host.test"));

    for (int i = 0; i < 2; i++) {
        CHECK(serve_once(pair, "one"), "a request to one bucket is answered");
        CHECK_INT(SSL_session_reused(newest(pair.peer)), i, "its session: %s",
                  i ? "resumed" : "new");
    }
    for (int i = 0; i < 2; i++) {
        CHECK(serve_once(pair, "two"), "a request to another is");
        CHECK_INT(SSL_session_reused(newest(pair.peer)), i, "its session: %s",
                  i ? "resumed" : "new");
    }
    CHECK_INT(offers(), 2, "no session of the one was offered for the other");
    end(pair);
}

static void names_do_not_share_sessions_in_1_2(void) {
    check_names_do_not_share(TLS1_2_VERSION);
}

static void names_do_not_share_sessions_in_1_3(void) {
    check_names_do_not_share(TLS1_3_VERSION);
}

static void hosts_do_not_share_sessions(void) {
    struct peer *peers[2];
    char hosts[256];
    dpl_ctx_t *ctx;

    for (int i = 0; i < 2; i++)
        peers[i] = peer_start(server_tls_in(TLS1_3_VERSION, NULL));
    snprintf(hosts, sizeof hosts, "%s;%s", peer_name(peers[0]), peer_name(peers[1]));
    ctx = context_over(hosts, "");
    ctx->n_conn_max_hits = 0;
    for (int i = 0; i < 4; i++) {
        struct peer *peer = peers[i % 2];
        dpl_conn_t *conn = dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", peer_port(peer));

        REQUIRE(conn && converse_with(conn, newest(peer)), "host %d serves a request", i % 2);
        CHECK_INT(SSL_session_reused(newest(peer)), i / 2, "its session: %s",
                  i / 2 ? "resumed" : "new");
        dpl_conn_release(conn);
    }
    CHECK_INT(offers(), 2, "no host was offered what is another's");
    dpl_ctx_free(ctx);
    peer_stop(peers[0]);
    peer_stop(peers[1]);
}

static void contexts_do_not_share_sessions(void) {
    struct pair pair = pair_in(TLS1_3_VERSION);

    CHECK_INT(resumed_of(pair, 2), 1, "one context resumes its session");
    dpl_ctx_free(pair.ctx);
    pair.ctx = context_over(peer_name(pair.peer), "");
    CHECK_INT(resumed_of(pair, 2), 1, "another has one of its own");
    CHECK_INT(offers(), 2, "which is all that was offered");
    end(pair);
}

/* ---- connections that are not used again ------------------------------------------- */

/* As Droplet's REST code does after `Connection: close`. */
static void check_terminated(int version) {
    struct pair pair = pair_in(version);
    int resumed = 0;

    for (int i = 0; i < 6; i++) {
        dpl_conn_t *conn = checkout(pair.ctx);

        REQUIRE(conn && converse_with(conn, newest(pair.peer)), "a request is answered");
        resumed += SSL_session_reused(newest(pair.peer));
        dpl_conn_terminate(conn);
    }
    CHECK_INT(resumed, 5, "of 6 connections that were terminated, 5 resumed a session");
    end(pair);
}

static void terminated_connections_leave_their_session(void) {
    check_terminated(TLS1_2_VERSION);
    check_terminated(TLS1_3_VERSION);
}

/* The server's new ticket was not read yet: the old one must not come back. */
static void offered_ticket_is_not_kept(void) {
    static void (*const finish[])(dpl_conn_t *) = {dpl_conn_release, dpl_conn_terminate};

    for (size_t i = 0; i < sizeof finish / sizeof *finish; i++) {
        SSL_CTX *tls = server_tls_in(TLS1_3_VERSION, NULL);
        struct pair pair;
        dpl_conn_t *conn;

        SSL_CTX_set_num_tickets(tls, 1);
        pair = pair_under("localhost", tls);
        REQUIRE(resumed_of(pair, 1) == 0, "a ticket is kept");
        conn = checkout(pair.ctx);
        REQUIRE(conn && newest(pair.peer), "and offered");
        finish[i](conn);
        conn = checkout(pair.ctx);
        REQUIRE(conn && newest(pair.peer), "another connection is made");
        dpl_conn_terminate(conn);
        CHECK_INT(offers() - (int)i, 1, "without the same ticket");
        end(pair);
    }
}

static void failed_connection_leaves_none(void) {
    struct pair pair = pair_in(TLS1_3_VERSION);
    dpl_conn_t *conn = checkout(pair.ctx);
    char byte;

    REQUIRE(conn && converse_with(conn, newest(pair.peer)), "a request is answered");
    peer_reset(pair.peer, 0);
    CHECK(SSL_read(conn->ssl, &byte, 1) <= 0, "then the connection fails");
    dpl_conn_terminate(conn);
    CHECK_INT(resumed_of(pair, 1), 0, "the next has a session of its own");
    CHECK_INT(offers(), 0, "and was offered none");
    end(pair);
}

/* The only ticket there is: it is taken when it is offered, and not before. */
static void ticket_is_kept_while_there_is_no_connection(void) {
    SSL_CTX *tls = server_tls_in(TLS1_3_VERSION, NULL);
    struct pair pair;

    SSL_CTX_set_num_tickets(tls, 1);
    pair = pair_under("localhost", tls);
    CHECK_INT(resumed_of(pair, 1), 0, "the first handshake is a full one");
    pair.ctx->n_conn_max = 0;
    CHECK(checkout(pair.ctx) == NULL, "then no connection may be made");
    pair.ctx->n_conn_max = 900;
    CHECK_INT(resumed_of(pair, 1), 1, "the next one resumes");
    end(pair);
}

/* ---- servers that forget ----------------------------------------------------------- */

static void check_forgotten(int version) {
    struct pair pair = pair_in(version);

    CHECK_INT(resumed_of(pair, 3), 2, "sessions are resumed");
    peer_become(pair.peer, server_tls_in(version, NULL));
    CHECK_INT(resumed_of(pair, 1), 0, "a server with new keys makes a full handshake");
    CHECK_INT(offers(), 3, "though a session was offered");
    CHECK_INT(resumed_of(pair, 3), 3, "whose session then is resumed");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    CHECK_INT(hosts_available(pair.ctx), 1, "nobody is blamed");
    end(pair);
}

static void forgotten_session_is_no_error_in_1_2(void) {
    check_forgotten(TLS1_2_VERSION);
}

static void forgotten_session_is_no_error_in_1_3(void) {
    check_forgotten(TLS1_3_VERSION);
}

static void change_of_version_is_no_error(void) {
    struct pair pair = pair_in(TLS1_3_VERSION);

    CHECK_INT(resumed_of(pair, 2), 1, "TLS 1.3: a session is resumed");
    peer_become(pair.peer, server_tls_in(TLS1_2_VERSION, NULL));
    CHECK_INT(resumed_of(pair, 3), 2, "then TLS 1.2: a new one is");
    peer_become(pair.peer, server_tls_in(TLS1_3_VERSION, NULL));
    CHECK_INT(resumed_of(pair, 3), 2, "and TLS 1.3 again");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    end(pair);
}

/* ---- forks ------------------------------------------------------------------------- */

/* A child that is done becomes another program: to a leak checker, what belongs to threads of its
 * parent, which it has not, would be lost in it. */
static _Noreturn void end_child(bool good) {
    if (good)
        execl("/bin/true", "true", NULL);
    _exit(EXIT_FAILURE);
}

static bool ended_well(pid_t child) {
    int status = -1;

    return waitpid(child, &status, 0) == child && status == EXIT_SUCCESS;
}

/* A ticket that both parent and child offered would be used twice. */
static void child_does_not_share_tickets(void) {
    struct pair pair = pair_in(TLS1_3_VERSION);
    dpl_conn_t *conns[2];
    dpl_conn_t *conn;
    pid_t child;

    for (int i = 0; i < 2; i++) {
        conns[i] = checkout(pair.ctx);
        REQUIRE(conns[i] && converse_with(conns[i], peer_tls(pair.peer, i)),
                "a request is answered");
    }
    for (int i = 0; i < 2; i++)
        dpl_conn_release(conns[i]);
    pair.ctx->n_conn_max_hits = 0;
    conn = checkout(pair.ctx);
    REQUIRE(conn && offers() == 1, "one of the two tickets is offered");
    dpl_conn_terminate(conn);
    REQUIRE(pair.ctx->n_conn_fds == 0, "no connection is left");
    child = fork();
    if (child == 0)
        end_child(checkout(pair.ctx) != NULL);
    CHECK(ended_well(child), "a child connects");
    conn = checkout(pair.ctx);
    REQUIRE(conn && peer_tls(pair.peer, 4), "so does the parent");
    CHECK_INT(distinct_offers(), 2, "the other is offered too");
    CHECK_INT(offers(), 2, "but not by both");
    dpl_conn_release(conn);
    end(pair);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_resume");
    RUN(sessions_are_resumed_in_1_2);
    RUN(sessions_are_resumed_in_1_3);
    RUN(sessions_without_tickets_are_resumed);
    RUN(server_that_gives_no_tickets_is_served);
    RUN(tickets_are_not_shared_by_connections_at_once);
    RUN(session_of_1_2_is_shared_by_connections_at_once);
    RUN(names_do_not_share_sessions_in_1_2);
    RUN(names_do_not_share_sessions_in_1_3);
    RUN(hosts_do_not_share_sessions);
    RUN(contexts_do_not_share_sessions);
    RUN(terminated_connections_leave_their_session);
    RUN(offered_ticket_is_not_kept);
    RUN(failed_connection_leaves_none);
    RUN(ticket_is_kept_while_there_is_no_connection);
    RUN(forgotten_session_is_no_error_in_1_2);
    RUN(forgotten_session_is_no_error_in_1_3);
    RUN(change_of_version_is_no_error);
    RUN(child_does_not_share_tickets);
    return test_end();
}
