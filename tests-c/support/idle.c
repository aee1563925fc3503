#include "support/idle.h"

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

const int tls_versions[2] = {TLS1_2_VERSION, TLS1_3_VERSION};

struct line connect_in(int version, size_t tickets) {
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

struct line idle_in(int version) {
    struct line line = connect_in(version, 2);

    REQUIRE(converse_with(line.conn, line.server), "it serves a request");
    dpl_conn_release(line.conn);
    line.conn = NULL;
    return line;
}

void line_end(struct line line) {
    if (line.conn)
        dpl_conn_release(line.conn);
    dpl_ctx_free(line.ctx);
    peer_stop(line.peer);
}

void let_it_arrive(void) {
    sleep_ms(100);
}

/* Gets the next connection, never waiting for a peer that keeps silent. */
void take(struct line *line) {
    double begin = seconds_now();

    let_it_arrive();
    line->conn = checkout(line->ctx);
    REQUIRE(line->conn, "the next checkout has a connection");
    CHECK(in_time(begin, 2), "without waiting");
}

void give(struct line *line) {
    dpl_conn_release(line->conn);
    line->conn = NULL;
}

void check_reused(struct line *line, unsigned hits) {
    take(line);
    CHECK_INT(line->conn->n_hits, hits, "it is the idle one");
    CHECK_INT(peer_accepted(line->peer), 1, "there is no other");
    CHECK(converse_with(line->conn, line->server), "and serves a request");
    give(line);
}

void check_replaced(struct line *line) {
    take(line);
    CHECK_INT(line->conn->n_hits, 0, "it is a new one");
    CHECK_INT(peer_accepted(line->peer), 2, "the second");
    CHECK(converse_with(line->conn, peer_tls(line->peer, 1)), "and serves a request");
    CHECK_INT(line->ctx->n_conn_fds, 1, "the old one is closed");
    CHECK_INT(hosts_available(line->ctx), 1, "the host is not blamed");
    give(line);
}
