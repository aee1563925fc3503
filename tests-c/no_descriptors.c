/* The process has no descriptor left: no connection can be opened, and idle ones still serve. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"

static int use_up_descriptors(int *fds, int size) {
    int n = 0;

    while (n < size && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    return n;
}

static void descriptors_run_out(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    struct rlimit before, few;
    int fds[256];
    dpl_conn_t *conn = NULL;
    int n;

    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    n = use_up_descriptors(fds, 256);
    REQUIRE(n > 0 && n < 256, "descriptors are used up");
    CHECK_STATUS(try_connect(ctx, &conn), DPL_ESYS, "without descriptors there is no connection");
    while (n > 0)
        close(fds[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_INT(blacklisted_until(ctx, server), 0, "nobody is blamed");
    CHECK_INT(ctx->n_conn_fds, 0, "nothing is counted");
    CHECK(answered(ctx, 1), "with descriptors again, a request is answered");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* An idle connection needs no descriptor. Whichever host's turn it is, the host that has one is used. */
static void idle_connections_serve_without_descriptors(void) {
    struct server *servers[3] = {server_answering(1), server_answering(2), server_answering(3)};
    dpl_ctx_t *ctx = context_over_servers(servers, 3, "");
    dpl_addrlist_t *list = ctx->addrlist;
    struct rlimit before, few;
    int fds[256];
    dpl_conn_t *conn = NULL;
    int n, idle, port;

    for (int i = 0; i < 3; i++) /* the last one is to be out, and has an idle connection as well */
        dpl_addrlist_blacklist(list, "127.0.0.1", server_port(servers[i]), 100);
    for (int i = 1; i < 3; i++) {
        dpl_addrlist_unblacklist(list, "127.0.0.1", server_port(servers[i]));
        REQUIRE(answered(ctx, i), "host %d answers", i);
        dpl_addrlist_blacklist(list, "127.0.0.1", server_port(servers[i]), 100);
    }
    for (int i = 0; i < 2; i++)
        dpl_addrlist_unblacklist(list, "127.0.0.1", server_port(servers[i]));
    idle = ctx->n_conn_fds;
    REQUIRE(idle == 2, "two hosts have an idle connection");
    port = atoi(server_port(servers[1]));

    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    n = use_up_descriptors(fds, 256);
    REQUIRE(n > 0 && n < 256, "descriptors are used up");
    for (int i = 0; i < 4; i++) {
        REQUIRE(try_connect(ctx, &conn) == DPL_SUCCESS, "checkout %d succeeds", i);
        CHECK_INT(atoi(conn->port) == port, 1, "with the connection of the host that is not out");
        CHECK_INT(conn->n_hits, i + 1, "which is reused");
        if (i < 3)
            dpl_conn_release(conn);
    }
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ESYS, "while it is in use there is none");
    while (n > 0)
        close(fds[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
    dpl_conn_terminate(conn);
    CHECK_INT(hosts_available(ctx), 2, "no host is blamed, and the one that is out stays out");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

int main(void) {
    test_begin("no_descriptors");
    RUN(descriptors_run_out);
    RUN(idle_connections_serve_without_descriptors);
    return test_end();
}
