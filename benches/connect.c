/* New connections. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cases.h"
#include "client.h"
#include "results.h"

enum { ROUNDS = 301, HANDSHAKES = 301 };
static const double ROUND_NS = 1e6;

static const struct peer *settled;

static void settle(void) {
    peer_settle(settled);
}

static void connect_and_close(void *subject, long n) {
    for (long i = 0; i < n; i++)
        close(peer_connect(subject));
}

void bench_connect(const struct peers *peers) {
    struct peer plain = peers->plain;
    struct client client = client_new(&plain, "127.0.0.1");

    settled = &peers->plain;
    result("connect", "new connection + terminate; floor: socket connect close", "ns",
           compare((struct side){connect_and_terminate, &client},
                   (struct side){connect_and_close, &plain}, ROUND_NS, ROUNDS, settle),
           (struct goal){RATIO_AT_MOST, 1.35});
}

static dpl_conn_t *connect_timed(struct client *client, double *ns) {
    double start = now_ns();
    dpl_conn_t *conn = client_checkout(client);

    *ns = now_ns() - start;
    return conn;
}

/* Its session can be resumed, because it was given back; so it is taken out of the way first. */
static double resuming(struct client *client, int *resumed) {
    dpl_conn_t *before = client_checkout(client);
    double ns;
    dpl_conn_t *conn = connect_timed(client, &ns);

    *resumed += SSL_session_reused(conn->ssl);
    client_ask(conn);
    dpl_conn_terminate(before);
    dpl_conn_release(conn);
    return ns;
}

/* A new context has nothing to resume. */
static double afresh(const struct peers *peers) {
    struct client client = client_new(&peers->tls, "127.0.0.1");
    double ns;
    dpl_conn_t *conn = connect_timed(&client, &ns);

    client_ask(conn);
    dpl_conn_terminate(conn);
    client_free(&client);
    return ns;
}

void bench_connect_tls(const struct peers *peers) {
    struct client resumer = client_new(&peers->tls, "127.0.0.1");
    static double with[HANDSHAKES];
    static double without[HANDSHAKES];
    static double ratios[HANDSHAKES];
    int resumed = 0;

    dpl_conn_t *first = client_checkout(&resumer);
    client_ask(first);
    dpl_conn_release(first);
    for (int i = 0; i < HANDSHAKES; i++) {
        with[i] = resuming(&resumer, &resumed);
        without[i] = afresh(peers);
        ratios[i] = with[i] / without[i];
    }
    printf("%d of %d handshakes were resumed\n", resumed, HANDSHAKES);
    result("connect-tls", "new TLS connection with resumption; floor: without", "us",
           (struct comparison){median(with, HANDSHAKES) / 1e3, median(without, HANDSHAKES) / 1e3,
                               median(ratios, HANDSHAKES)},
           (struct goal){RATIO_AT_MOST, 0.65});
}
