/* The process has no descriptor left: no connection can be opened, and idle ones still serve. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/dplx.h"

static struct rlimit before;
static int taken[256], n_taken;

/* Uses up the descriptors of the process, except for so many. */
static void leave_descriptors(int count) {
    struct rlimit few;

    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    n_taken = 0;
    while (n_taken < 256 && (taken[n_taken] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n_taken++;
    REQUIRE(n_taken > count && n_taken < 256, "descriptors are used up");
    while (count-- > 0)
        close(taken[--n_taken]);
}

static void give_descriptors_back(void) {
    while (n_taken > 0)
        close(taken[--n_taken]);
    setrlimit(RLIMIT_NOFILE, &before);
}

static void descriptors_run_out(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = NULL;

    leave_descriptors(0);
    CHECK_STATUS(try_connect(ctx, &conn), DPL_ESYS, "without descriptors there is no connection");
    give_descriptors_back();
    CHECK_INT(blacklisted_until(ctx, server), 0, "nobody is blamed");
    CHECK_INT(ctx->n_conn_fds, 0, "nothing is counted");
    CHECK(answered(ctx, 1), "with descriptors again, a request is answered");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static long attempts(dpl_ctx_t *ctx) {
    dplx_host_stats_t stats[3] = {{.size = sizeof *stats}};
    int n = dplx_host_stats(ctx, stats, 3);
    long sum = 0;

    for (int i = 0; i < n; i++)
        sum += stats[i].attempts;
    return sum;
}

static void the_first_host_shows_the_lack(void) {
    struct server *servers[3] = {server_answering(1), server_answering(2), server_answering(3)};
    dpl_ctx_t *ctx = context_over_servers(servers, 3, "");

    leave_descriptors(0);
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ESYS, "without descriptors there is no connection");
    CHECK_INT(attempts(ctx), 1, "and no other host is tried");
    give_descriptors_back();
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

/* Gives descriptors back, and has servers answer which did not. */
static void *come_back(void *arg) {
    struct server **servers = arg;

    usleep(600 * 1000);
    setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < 2; i++)
        server_restart(servers[i]);
    return NULL;
}

/* The attempt on the next host lacks a descriptor. That on the first one has its own, and goes on. */
static void an_attempt_with_a_descriptor_goes_on(void) {
    struct server *servers[2];
    dpl_ctx_t *ctx;
    dpl_conn_t *conn = NULL;
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        servers[i] = server_start((struct server_options){.refuse = true});
        server_go_deaf(servers[i]);
    }
    ctx = context_over_servers(servers, 2, "connection_timeout = 20");
    leave_descriptors(1);
    pthread_create(&thread, NULL, come_back, servers);
    CHECK_STATUS(try_connect(ctx, &conn), DPL_SUCCESS, "the host that is late is waited for");
    pthread_join(thread, NULL);
    give_descriptors_back();
    if (conn)
        dpl_conn_terminate(conn);
    CHECK_INT(hosts_available(ctx), 2, "no host is blamed");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

/* An idle connection needs no descriptor. Whichever host's turn it is, the host that has one is used. */
static void idle_connections_serve_without_descriptors(void) {
    struct server *servers[3] = {server_answering(1), server_answering(2), server_answering(3)};
    dpl_ctx_t *ctx = context_over_servers(servers, 3, "");
    dpl_addrlist_t *list = ctx->addrlist;
    dpl_conn_t *conn = NULL;
    int idle, port;

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

    leave_descriptors(0);
    for (int i = 0; i < 4; i++) {
        REQUIRE(try_connect(ctx, &conn) == DPL_SUCCESS, "checkout %d succeeds", i);
        CHECK_INT(atoi(conn->port) == port, 1, "with the connection of the host that is not out");
        CHECK_INT(conn->n_hits, i + 1, "which is reused");
        if (i < 3)
            dpl_conn_release(conn);
    }
    CHECK_STATUS(try_connect(ctx, NULL), DPL_ESYS, "while it is in use there is none");
    give_descriptors_back();
    dpl_conn_terminate(conn);
    CHECK_INT(hosts_available(ctx), 2, "no host is blamed, and the one that is out stays out");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

int main(void) {
    test_begin("no_descriptors");
    RUN(descriptors_run_out);
    RUN(the_first_host_shows_the_lack);
    RUN(an_attempt_with_a_descriptor_goes_on);
    RUN(idle_connections_serve_without_descriptors);
    return test_end();
}
