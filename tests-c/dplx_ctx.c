/* Contexts from dplx_ctx_new(): all that a program needs which has no Droplet. */
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"
#include "support/scratch.h"

/* A profile over these servers; over TLS where the tests run over it. */
static const char *profile_of(struct server *const servers[], int n, const char *more) {
    static char text[2048];

    strcpy(text, more);
    if (tls_wanted())
        sprintf(text + strlen(text), "use_https = true\nssl_ca_list = \"%s\"\n", authority_file());
    strcat(text, "host = ");
    for (int i = 0; i < n; i++) {
        strcat(text, i ? "," : "");
        strcat(text, server_name(servers[i]));
    }
    return strcat(text, "\n");
}

/* Is a request answered, by the server of this id? The reply is small: it comes in one piece. */
static bool is_answered(dpl_ctx_t *ctx, int id) {
    static const char request[] = "GET / HTTP/1.1\r\nX-Number: 5\r\n\r\n";
    dpl_req_t *req = dplx_req_new(ctx, NULL);
    dpl_conn_t *conn = NULL;
    char reply[1024] = "";
    char body[32];
    bool good;

    REQUIRE(req, "a request is made");
    if (dpl_try_connect(ctx, req, &conn) != DPL_SUCCESS) {
        dplx_req_free(req);
        return false;
    }
    dplx_req_free(req);
    snprintf(body, sizeof body, "\r\n\r\n%d 5\n", id);
    good = dplx_conn_write(conn, request, sizeof request - 1, LIMIT_MS) == DPL_SUCCESS &&
           dplx_conn_read(conn, reply, sizeof reply - 1, LIMIT_MS) > 0 &&
           strstr(reply, body) != NULL;
    if (good)
        dplx_conn_reply_complete(conn);
    dpl_conn_release(conn);
    return good;
}

static void requests_are_answered(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, ""));

    REQUIRE(ctx, "a context is made");
    for (int i = 0; i < 3; i++)
        CHECK(is_answered(ctx, 1), "a request is answered");
    CHECK_INT(server_accepted(server), 1, "all on one connection");
    dplx_ctx_free(ctx);
    CHECK(EVENTUALLY(server_open(server) == 0), "which ends with the context");
    server_stop(server);
}

static void dead_hosts_are_passed_over(void) {
    struct server *servers[2] = {server_start((struct server_options){.refuse = true}),
                                 server_answering(2)};
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(servers, 2, ""));

    REQUIRE(ctx, "a context is made");
    for (int i = 0; i < 4; i++)
        CHECK(is_answered(ctx, 2), "a request is answered by the one that is well");
    server_kill(servers[1]);
    CHECK(!is_answered(ctx, 2), "with both dead there is no answer");
    CHECK(strstr(dplx_last_error(), server_name(servers[1])) != NULL, "and the text says why");
    dplx_ctx_free(ctx);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

static void variables_count(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, "blacklist_expiretime = -1 # a comment\n"));

    REQUIRE(ctx && !is_answered(ctx, 1), "a host is out");
    server_restart(server);
    /* Otherwise it would be probed early. */
    sleep_ms(200);
    CHECK(!is_answered(ctx, 0), "and stays so for good");
    dplx_ctx_free(ctx);
    server_stop(server);
}

static void check_refused(const char *profile, const char *text) {
    CHECK(dplx_ctx_new(profile) == NULL, "%s: no context", text);
    CHECK_STR(dplx_last_error(), text, "its text");
}

static void what_is_wrong_is_told(void) {
    check_refused(NULL, "the profile is NULL");
    check_refused("", "profile: no host is set");
    check_refused("host = 127.0.0.1:1\n\nhots = a\n", "profile:3: no such variable");
    check_refused("use_https = perhaps\n",
                  "profile:1: use_https: 'perhaps' is neither true nor false");
    check_refused("host = 127.0.0.1:1\nuse_https = true\nssl_ca_list = /nowhere\n",
                  "profile:3: ssl_ca_list: /nowhere: No such file or directory");
}

static void nothing_is_freed_twice(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, ""));
    dpl_ctx_t *droplets = context_over_server(server, "");
    dpl_req_t *req;

    REQUIRE(ctx && droplets, "contexts are made");
    dplx_ctx_free(NULL);
    dplx_ctx_free(droplets);
    CHECK(strstr(dplx_last_error(), "did not come from dplx_ctx_new()") != NULL,
          "Droplet's own is not ours to free");
    req = dplx_req_new(droplets, NULL);
    CHECK_STATUS(dpl_try_connect(droplets, req, NULL), DPL_SUCCESS, "it works as before");
    dplx_req_free(req);
    dpl_ctx_free(droplets);
    dplx_ctx_free(ctx);
    dplx_ctx_free(ctx);
    CHECK(strstr(dplx_last_error(), "freed before") != NULL, "a second time is told");
    CHECK(dplx_req_new(ctx, NULL) == NULL, "no request is made for it");
    server_stop(server);
}

/* Bytes in use from malloc; 0 under valgrind, which looks for leaks itself. */
static size_t bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void metadata_are_freed_with_a_request(void) {
    enum { ROUNDS = 100, LENGTH = 10000 };
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, ""));
    char value[LENGTH + 1];
    size_t before;

    REQUIRE(ctx, "a context is made");
    memset(value, 'v', LENGTH);
    value[LENGTH] = '\0';
    before = bytes_in_use();
    for (int i = 0; i < ROUNDS; i++) {
        dpl_req_t *req = dplx_req_new(ctx, "bucket");

        REQUIRE(req && dpl_req_add_metadatum(req, "key", value) == DPL_SUCCESS,
                "a request has metadata");
        dplx_req_free(req);
    }
    CHECK(bytes_in_use() < before + ROUNDS * LENGTH / 2, "dplx_req_free() frees them");
    dplx_ctx_free(ctx);
    server_stop(server);
}

static void connection_outlives_its_context(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, ""));
    dpl_req_t *req = dplx_req_new(ctx, NULL);
    dpl_conn_t *conn = NULL;
    char byte;

    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "a connection is made");
    dplx_req_free(req);
    dplx_ctx_free(ctx);
    CHECK_STATUS(dplx_conn_write(conn, "GET / HTTP/1.1\r\n\r\n", 18, LIMIT_MS), DPL_SUCCESS,
                 "written to");
    CHECK_INT(dplx_conn_read(conn, &byte, 1, LIMIT_MS), 1, "and read from");
    dplx_conn_reply_complete(conn);
    dpl_conn_release(conn);
    CHECK(EVENTUALLY(server_open(server) == 0), "given back it is closed");
    server_stop(server);
}

/* All that goes wrong in this function. */
static void fail_in_many_ways(struct server *server) {
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, "pricing = x\n"));
    dpl_conn_t *conn;
    char byte;

    dplx_ctx_new("nonsense");
    is_answered(ctx, 1);
    conn = dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", "1");
    dplx_conn_read(conn, &byte, 1, 0);
    conn = dpl_conn_open_file(ctx, open("/dev/null", O_RDWR | O_CLOEXEC));
    dpl_conn_writev_all(conn, NULL, 1, 0);
    dplx_conn_read(conn, NULL, 1, 0);
    dpl_read_http_reply_ext(conn, 1, 1, NULL, NULL, NULL, NULL);
    dplx_conn_info(conn, NULL);
    dpl_conn_release(conn);
    dplx_ctx_free(ctx);
    dplx_ctx_free(ctx);
}

static void nothing_is_printed(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    char path[256];
    int saved[2] = {dup(1), dup(2)};
    struct stat status;
    int file;

    snprintf(path, sizeof path, "%s/printed", scratch_dir());
    fflush(stdout);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dup2(file, 1);
    dup2(file, 2);
    logs_collect(); /* which would print what Droplet's log gets */
    fail_in_many_ways(server);
    dup2(saved[0], 1);
    dup2(saved[1], 2);
    REQUIRE(fstat(file, &status) == 0, "there is a file for what is printed");
    CHECK_INT((long)status.st_size, 0, "nothing is");
    CHECK_INT(logs_count(), 0, "nor does Droplet's log get any of it");
    close(file);
    server_stop(server);
}

struct heard {
    int count;
    char last[256];
};

static void hear(void *user, dpl_ctx_t *ctx, int level, const char *message) {
    struct heard *heard = user;

    (void)ctx;
    (void)level;
    heard->count++;
    snprintf(heard->last, sizeof heard->last, "%s", message);
}

static void connections_may_outlive_it(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, ""));
    dpl_conn_t *conn = ctx ? dplx_connect(ctx, LIMIT_MS) : NULL;
    struct heard heard = {0};

    REQUIRE(conn, "a connection is made");
    dplx_set_log(hear, &heard);
    dplx_ctx_free(ctx);
    dplx_set_log(NULL, NULL);
    CHECK_STR(heard.last, "dplx_ctx_free: connections of this context are still in use: 1", "a warning");
    ask_by(conn, 1);
    CHECK_INT(dplx_reply_status(conn, LIMIT_MS), 200, "it works");
    dpl_conn_release(conn);
    CHECK(EVENTUALLY(server_open(server) == 0), "and is closed at its end");
    server_stop(server);
}

static void those_who_listen_hear_of_it(void) {
    struct server *server = server_start((struct server_options){.refuse = true});
    dpl_ctx_t *ctx = dplx_ctx_new(profile_of(&server, 1, ""));
    struct heard heard = {0};

    dplx_set_log(hear, &heard);
    CHECK(!is_answered(ctx, 1), "a call on the context fails");
    CHECK_INT(heard.count, 1, "which is heard");
    CHECK(strstr(heard.last, "dpl_try_connect: connect to ") == heard.last, "with what failed");
    CHECK(dplx_ctx_new("nonsense") == NULL, "no context is made");
    CHECK_INT(heard.count, 2, "which is heard");
    CHECK(strstr(heard.last, "dplx_ctx_new: profile:1: ") == heard.last, "with the line");
    dplx_set_log(NULL, NULL);
    dplx_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("dplx_ctx");
    RUN(requests_are_answered);
    RUN(dead_hosts_are_passed_over);
    RUN(variables_count);
    RUN(what_is_wrong_is_told);
    RUN(connections_may_outlive_it);
    RUN(nothing_is_freed_twice);
    RUN(metadata_are_freed_with_a_request);
    RUN(connection_outlives_its_context);
    RUN(nothing_is_printed);
    RUN(those_who_listen_hear_of_it);
    return test_end();
}
