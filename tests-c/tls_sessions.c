/* No session is resumed for another name, host or context, nor in a forked child. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"
#include "support/client.h"
#include "support/context.h"
#include "support/resume.h"

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
    pair_end(pair);
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
    pair_end(pair);
}

/* ---- forks ------------------------------------------------------------------------- */

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
    pair_end(pair);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_sessions");
    RUN(names_do_not_share_sessions_in_1_2);
    RUN(names_do_not_share_sessions_in_1_3);
    RUN(hosts_do_not_share_sessions);
    RUN(contexts_do_not_share_sessions);
    RUN(child_does_not_share_tickets);
    return test_end();
}
