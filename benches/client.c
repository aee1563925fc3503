#include "client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(EXIT_FAILURE);
}

static void write_profile(const char *path, const struct peer *peer, const char *name) {
    FILE *file = fopen(path, "w");

    if (!file)
        give_up(path);
    if (*peer->authority)
        fprintf(file, "use_https = true\nssl_ca_list = \"%s\"\n", peer->authority);
    fprintf(file, "host = \"%s:%d\"\npricing_dir = \"\"\n", name, peer->port);
    fclose(file);
}

static dpl_ctx_t *context_new(const struct peer *peer, const char *name) {
    char directory[] = "/tmp/droplet-bench-XXXXXX";
    char path[64];
    dpl_ctx_t *ctx;

    if (!mkdtemp(directory))
        give_up("no directory for a profile");
    snprintf(path, sizeof path, "%s/bench.profile", directory);
    write_profile(path, peer, name);
    ctx = dpl_ctx_new(directory, "bench");
    unlink(path);
    rmdir(directory);
    if (!ctx)
        give_up("no context");
    return ctx;
}

struct client client_new(const struct peer *peer, const char *name) {
    struct client client = {.ctx = context_new(peer, name)};

    client.ctx->n_conn_max_hits = 1 << 30;
    client.req = dpl_req_new(client.ctx);
    dpl_req_rm_behavior(client.req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    return client;
}

void client_add_dead_hosts(struct client *client, const struct peer *peer, int count) {
    char host[32];
    char port[8];

    snprintf(port, sizeof port, "%d", peer->port);
    for (int i = 0; i < count; i++) {
        snprintf(host, sizeof host, "127.1.%d.%d", i / 250, i % 250 + 1);
        if (dpl_addrlist_add(client->ctx->addrlist, host, port) != DPL_SUCCESS ||
            dpl_addrlist_blacklist(client->ctx->addrlist, host, port, 3600) != DPL_SUCCESS)
            give_up("host not added");
    }
}

dpl_conn_t *client_checkout(struct client *client) {
    dpl_conn_t *conn = NULL;

    if (dpl_try_connect(client->ctx, client->req, &conn) != DPL_SUCCESS)
        give_up("no connection");
    return conn;
}

void client_ask(dpl_conn_t *conn) {
    struct iovec question = {.iov_base = "?", .iov_len = 1};
    char answer;

    if (dpl_conn_writev_all(conn, &question, 1, 10) != DPL_SUCCESS ||
        SSL_read(conn->ssl, &answer, 1) != 1)
        give_up("no reply over TLS");
}

void client_warm(struct client *client, int count) {
    dpl_conn_t **conns = calloc((size_t)count, sizeof *conns);

    for (int i = 0; i < count; i++) {
        conns[i] = client_checkout(client);
        if (conns[i]->ssl)
            client_ask(conns[i]);
    }
    for (int i = 0; i < count; i++)
        dpl_conn_release(conns[i]);
    free(conns);
}

void client_free(struct client *client) {
    dpl_req_free(client->req);
    dpl_ctx_free(client->ctx);
}

void checkout_and_release(void *subject, long n) {
    struct client *client = subject;
    dpl_conn_t *conn;

    for (long i = 0; i < n; i++) {
        if (dpl_try_connect(client->ctx, client->req, &conn) != DPL_SUCCESS)
            give_up("no connection");
        dpl_conn_release(conn);
    }
}

void connect_and_terminate(void *subject, long n) {
    for (long i = 0; i < n; i++)
        dpl_conn_terminate(client_checkout(subject));
}

void bare_poll(void *fd, long n) {
    struct pollfd watch = {.fd = *(int *)fd, .events = POLLIN};

    for (long i = 0; i < n; i++)
        if (poll(&watch, 1, 0) != 0)
            give_up("the bare connection is not silent");
}
