/* Sessions are resumed, each ticket once. */
#include <stdlib.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/resume.h"

enum { MANY = 20 };

/* ---- resumption -------------------------------------------------------------------- */

static void check_resumed(SSL_CTX *tls) {
    struct pair pair = pair_under("localhost", tls);

    CHECK_INT(resumed_of(pair, 1), 0, "the first handshake is a full one");
    CHECK_INT(resumed_of(pair, MANY), MANY, "all that follow resume");
    CHECK_INT(peer_accepted(pair.peer), MANY + 1, "each on a connection of its own");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    pair_end(pair);
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
    pair_end(pair);
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
    pair_end(pair);
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
    pair_end(pair);
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
    pair_end(pair);
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
        pair_end(pair);
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
    pair_end(pair);
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
    pair_end(pair);
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
    pair_end(pair);
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
    pair_end(pair);
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
    RUN(terminated_connections_leave_their_session);
    RUN(offered_ticket_is_not_kept);
    RUN(failed_connection_leaves_none);
    RUN(ticket_is_kept_while_there_is_no_connection);
    RUN(forgotten_session_is_no_error_in_1_2);
    RUN(forgotten_session_is_no_error_in_1_3);
    RUN(change_of_version_is_no_error);
    return test_end();
}
