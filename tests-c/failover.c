/* Hosts that are down or strange: requests go to the others. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/scratch.h"

static struct server *refusing_server(void) {
    return server_start((struct server_options){.refuse = true});
}

static int count_answered(dpl_ctx_t *ctx, int n) {
    int good = 0;

    for (int i = 0; i < n; i++)
        good += answered(ctx, i);
    return good;
}

/* ---- refused connects -------------------------------------------------------------- */

static void refusing_host_is_passed_over(void) {
    struct server *servers[] = {refusing_server(), server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    time_t begin = time(NULL);
    long until;

    CHECK_INT(count_answered(ctx, 20), 20, "20 requests are answered");
    CHECK_INT(server_requests(servers[1]), 20, "by the live host");
    until = blacklisted_until(ctx, servers[0]);
    CHECK(until >= begin + 10 && until <= time(NULL) + 10, "the dead one is out for 10 seconds");
    CHECK_INT(blacklisted_until(ctx, servers[1]), 0, "the live one is not");
    CHECK_INT(hosts_available(ctx), 1, "one host is available");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void no_host_is_left(void) {
    struct server *servers[] = {refusing_server(), refusing_server(), refusing_server()};
    dpl_ctx_t *ctx = context_over_servers(servers, 3, "");
    int tried;

    logs_collect();
    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "three dead hosts are a failure");
    CHECK_INT(hosts_available(ctx), 0, "all of them are out");
    tried = logs_with("Connection refused");
    CHECK_INT(tried, 3, "each was tried once");
    for (int i = 0; i < 3; i++) /* or one may be probed early */
        dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(servers[i]), 1000);
    CHECK_STATUS(ask(ctx, 2).status, DPL_FAILURE, "the next call fails too");
    CHECK_INT(logs_with("Connection refused"), tried, "without another attempt");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 3; i++)
        server_stop(servers[i]);
}

static void expiry_brings_a_host_back(void) {
    struct server *server = refusing_server();
    dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = 2");

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "the host is down");
    server_restart(server);
    /* What has failed may be probed early, what the program takes out may not. */
    dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(server), (time_t)patience(2));
    CHECK_STATUS(ask(ctx, 2).status, DPL_FAILURE, "it is up, but still out");
    CHECK(EVENTUALLY(answered(ctx, 3)), "after its time it is asked again");
    CHECK_INT(blacklisted_until(ctx, server), 0, "and is out no longer");
    ctx->blacklist_expiretime = 1; /* the program changes its mind */
    server_kill(server);
    CHECK_STATUS(ask(ctx, 4).status, DPL_FAILURE, "it is down again");
    server_restart(server);
    CHECK(EVENTUALLY(answered(ctx, 5)), "and comes back once more");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void host_may_be_out_for_good(void) {
    struct server *server = refusing_server();
    dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = -1");

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "the host is down");
    CHECK_INT(blacklisted_until(ctx, server), -1, "and out for good");
    server_restart(server);
    sleep_ms(1500);
    CHECK_STATUS(ask(ctx, 2).status, DPL_FAILURE, "it is up, but still out");
    CHECK_STATUS(dpl_addrlist_unblacklist(ctx->addrlist, "127.0.0.1", server_port(server)),
                 DPL_SUCCESS, "the program lifts that");
    CHECK(answered(ctx, 3), "and the host answers");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void no_expiry_time_is_no_endless_loop(void) {
    struct server *servers[] = {refusing_server(), refusing_server()};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "blacklist_expiretime = 0");

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "two dead hosts are a failure");
    server_restart(servers[1]);
    CHECK_INT(count_answered(ctx, 10), 10, "with one of them up, 10 requests are answered");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

/* ---- virtual hosting --------------------------------------------------------------- */

/*
 * BUCKET.HOST has to resolve without a name server: bucket "127.0.0" and host
 * "1" make a literal address.
 */
static dpl_ctx_t *context_over_virtual(struct server *a, struct server *b) {
    char hosts[64];

    snprintf(hosts, sizeof hosts, "1:%s;2:%s", server_port(a), server_port(b));
    return context_over(hosts, "");
}

static bool bucket_answers(dpl_ctx_t *ctx, const char *bucket, char *host, size_t size) {
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_conn_t *conn = NULL;
    bool good = false;

    dpl_req_set_bucket(req, bucket);
    if (dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS) {
        snprintf(host, size, "%s", req->host);
        good = answered_on(conn, 1);
        dpl_conn_release(conn);
    }
    dpl_req_free(req);
    return good;
}

static void bucket_names_the_host(void) {
    struct server *a = server_answering(1);
    struct server *b = server_start((struct server_options){.address = "127.0.0.2", .id = 2});
    dpl_ctx_t *ctx = context_over_virtual(a, b);
    char hosts[2][32] = {"", ""};

    REQUIRE(bucket_answers(ctx, "127.0.0", hosts[0], sizeof hosts[0]), "the first host answers");
    REQUIRE(bucket_answers(ctx, "127.0.0", hosts[1], sizeof hosts[1]), "the second host answers");
    CHECK(server_requests(a) == 1 && server_requests(b) == 1, "hosts take turns");
    CHECK(strncmp(hosts[0], "127.0.0.", 8) == 0 && strcmp(hosts[0], hosts[1]) != 0,
          "the request names BUCKET.HOST");
    dpl_ctx_free(ctx);
    server_stop(a);
    server_stop(b);
}

static void virtual_hosting_fails_over(void) {
    struct server *dead = refusing_server();
    struct server *live = server_start((struct server_options){.address = "127.0.0.2"});
    dpl_ctx_t *ctx = context_over_virtual(dead, live);
    char host[32] = "";
    int good = 0;

    for (int i = 0; i < 20; i++)
        good += bucket_answers(ctx, "127.0.0", host, sizeof host);
    CHECK_INT(good, 20, "20 requests to a bucket are answered");
    CHECK_STR(host, "127.0.0.2", "by the live host");
    CHECK_INT(blacklisted_until(ctx, live), 0, "which is not out");
    dpl_ctx_free(ctx);
    server_stop(dead);
    server_stop(live);
}

/* "0.0" and "0" are both the address that leads to this machine itself. */
static void virtual_name_of_the_same_address_counts(void) {
    struct server_options dead = {.refuse = true, .tls = TLS_NEVER};
    struct server *servers[] = {server_start(dead),
                                server_start((struct server_options){.tls = TLS_NEVER})};
    char text[64];
    char host[32] = "";
    dpl_ctx_t *ctx;
    int good = 0;

    snprintf(text, sizeof text, "host = \"0:%s;0:%s\"\n", server_port(servers[0]),
             server_port(servers[1]));
    ctx = context_from_text(text);
    for (int i = 0; i < 4; i++)
        good += bucket_answers(ctx, "0", host, sizeof host);
    CHECK_INT(good, 4, "requests are answered");
    CHECK_INT(hosts_available(ctx), 1, "a host that fails at its own address is out");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void unknown_bucket_is_nobodys_fault(void) {
    struct server *servers[] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    char too_long_for_a_label[65];
    char host[32] = "";

    /* No resolver passes such a name on, so that none has to be waited for. */
    memset(too_long_for_a_label, 'b', sizeof too_long_for_a_label);
    too_long_for_a_label[64] = '\0';
    CHECK(!bucket_answers(ctx, too_long_for_a_label, host, sizeof host), "it does not connect");
    CHECK_INT(hosts_available(ctx), 2, "no host is out");
    CHECK(answered(ctx, 1) && answered(ctx, 2), "both answer other requests");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

/* ---- strange hosts ----------------------------------------------------------------- */

/* Over TLS the handshake shows it; on a plain socket only the request does, and is repeated. */
static void resetting_host_is_passed_over(void) {
    struct server *servers[] = {server_start((struct server_options){.behaviour = RESET_ON_ACCEPT}),
                                server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    int good = 0;

    for (int i = 0; i < 20; i++)
        good += answered(ctx, i) || answered(ctx, i);
    CHECK_INT(good, 20, "20 requests are answered, at the second try at the latest");
    CHECK(blacklisted_until(ctx, servers[0]) != 0, "the host that resets is out");
    CHECK_INT(blacklisted_until(ctx, servers[1]), 0, "the other is not");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void server_error_puts_a_host_out(void) {
    struct server *server = server_start((struct server_options){.behaviour = ANSWER_500});
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "a request is answered with status 500");
    CHECK(blacklisted_until(ctx, server) != 0, "the host is out");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void broken_reply_puts_a_host_out(void) {
    struct server *server = server_start((struct server_options){.behaviour = ANSWER_HALF});
    dpl_ctx_t *ctx = context_over_server(server, "");

    CHECK_STATUS(ask(ctx, 1).status, DPL_FAILURE, "a reply breaks off");
    CHECK(blacklisted_until(ctx, server) != 0, "the host is out");
    CHECK_INT(ctx->n_conn_fds, 0, "its connection is closed");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- what is said about it --------------------------------------------------------- */

static int redirect_stdout(const char *path) {
    int kept = dup(STDOUT_FILENO);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    close(file);
    return kept;
}

static void failure_is_logged(void) {
    struct server *server = refusing_server();
    dpl_ctx_t *ctx = context_over_server(server, "");
    struct stat printed = {0};
    char path[128];
    int kept;

    logs_collect();
    snprintf(path, sizeof path, "%s/stdout", scratch_dir());
    kept = redirect_stdout(path);
    ask(ctx, 1);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    CHECK_INT(logs_with("Connection refused"), 1, "one line has the system's text");
    CHECK_INT(logs_with(server_name(server)), 1, "one line has the address as IP:PORT");
    CHECK(logs_with("error: ") >= 1, "it is an error");
    CHECK(stat(path, &printed) == 0 && printed.st_size == 0, "nothing goes to stdout");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("failover");
    RUN(refusing_host_is_passed_over);
    RUN(no_host_is_left);
    RUN(expiry_brings_a_host_back);
    RUN(host_may_be_out_for_good);
    RUN(no_expiry_time_is_no_endless_loop);
    RUN(bucket_names_the_host);
    RUN(virtual_hosting_fails_over);
    RUN(virtual_name_of_the_same_address_counts);
    RUN(unknown_bucket_is_nobodys_fault);
    RUN(resetting_host_is_passed_over);
    RUN(server_error_puts_a_host_out);
    RUN(broken_reply_puts_a_host_out);
    RUN(failure_is_logged);
    return test_end();
}
