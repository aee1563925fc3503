/* dplx_last_error() and dplx_set_log(): what went wrong, in words. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"

static bool error_has(const char *text) {
    bool found = strstr(dplx_last_error(), text) != NULL;

    if (!found)
        fprintf(stderr, "# not \"%s\": \"%s\"\n", text, dplx_last_error());
    return found;
}

static struct server *refusing(void) {
    return server_start((struct server_options){.refuse = true});
}

/* "connect to 127.0.0.1:PORT: Connection refused" */
static const char *refusal_of(const struct server *server) {
    static char text[2][128];
    static int turn;

    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "connect to %s: Connection refused",
             server_name(server));
    return text[turn];
}

/* ---- the text ---------------------------------------------------------------------- */

static void text_names_each_host_and_cause(void) {
    struct server *servers[2] = {refusing(), refusing()};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    char both[2][300];
    dpl_addr_t *addr;

    CHECK_STR(dplx_last_error(), "", "there is no error yet");
    REQUIRE(checkout(ctx) == NULL, "no host answers");
    for (int first = 0; first < 2; first++)
        snprintf(both[first], sizeof both[first], "%s; %s", refusal_of(servers[first]),
                 refusal_of(servers[!first]));
    CHECK(strcmp(dplx_last_error(), both[0]) == 0 || strcmp(dplx_last_error(), both[1]) == 0,
          "the text names both and why, and nothing else");
    for (int i = 0; i < 2; i++)
        dpl_addrlist_blacklist(ctx->addrlist, "127.0.0.1", server_port(servers[i]), -1);
    REQUIRE(checkout(ctx) == NULL, "again none");
    CHECK(error_has("no host is left: ") && error_has(" is out for good (ordered), "), "for another reason");
    dpl_addrlist_lock(ctx->addrlist);
    for (int i = 0; i < 2; i++) {
        addr = dpl_addrlist_get_byname_nolock(ctx->addrlist, "127.0.0.1", server_port(servers[i]));
        dpl_addrlist_remove_nolock(ctx->addrlist, addr);
        free(addr->host);
        free(addr->portstr);
        free(addr->hbuf);
        free(addr->h);
        free(addr);
    }
    dpl_addrlist_unlock(ctx->addrlist);
    REQUIRE(checkout(ctx) == NULL, "there is no host");
    CHECK_STR(dplx_last_error(), "the list of hosts is empty", "which is another reason");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

static void success_has_no_text(void) {
    struct server *servers[2] = {refusing(), server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "");
    dpl_ctx_t *dead = context_over_server(servers[0], "");
    dpl_conn_t *conn;

    for (int i = 0; i < 2; i++) {
        REQUIRE(checkout(dead) == NULL && *dplx_last_error(), "a call fails");
        conn = checkout(ctx); /* once of the two the first host refuses */
        REQUIRE(conn, "the next succeeds, with the one host or the other");
        CHECK_STR(dplx_last_error(), "", "and leaves no text");
        REQUIRE(checkout(dead) == NULL && *dplx_last_error(), "a call fails");
        CHECK_STATUS(write_string(conn, "x", 1), DPL_SUCCESS, "a write succeeds");
        CHECK_STR(dplx_last_error(), "", "and leaves no text");
        dpl_conn_terminate(conn);
    }
    dpl_ctx_free(ctx);
    dpl_ctx_free(dead);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

static void cleaning_up_keeps_the_text(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conns[2] = {checkout(ctx), checkout(ctx)};
    dpl_req_t *req = dplx_req_new(ctx, NULL);
    dpl_conn_t *conn = NULL;

    REQUIRE(conns[0] && conns[1] && req, "there is something to clean up");
    ctx->n_conn_max = 2;
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_ELIMIT, "a call fails");
    dplx_req_free(req);
    dpl_conn_release(conns[0]);
    dpl_conn_terminate(conns[1]);
    dpl_conn_release(NULL);
    dpl_addrlist_free(NULL);
    dpl_ctx_free(ctx);
    CHECK_STR(dplx_last_error(), 
              "n_conn_max (2) reached: 2 connections are in use, 0 are being opened", "the text is there");
    server_stop(server);
}

static void misuse_is_told_as_well(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = checkout(ctx);

    REQUIRE(conn, "a connection is made");
    dpl_conn_release(conn);
    dpl_conn_release(conn);
    CHECK(error_has("not in use"), "that it was given back twice");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- every function ---------------------------------------------------------------- */

#define FAILS(call, text) \
    do { \
        dpl_addrlist_get_rand(ctx->addrlist, &addr); /* leaves no text */ \
        CHECK((call), "%s fails", #call); \
        CHECK(error_has(text), "with \"%s\"", text); \
    } while (0)

static void every_failure_has_a_text(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_addrlist_t *list = ctx->addrlist;
    dpl_req_t *req = request_new(ctx);
    dpl_conn_t *conn = NULL;
    dpl_addr_t *addr;
    char bucket[300] = "";
    char byte;

    logs_collect();
    FAILS(dpl_try_connect(NULL, req, &conn) == DPL_EINVAL, "the context is NULL");
    FAILS(dpl_try_connect(ctx, NULL, &conn) == DPL_EINVAL, "the request is NULL");
    FAILS(dpl_conn_open_host(ctx, AF_INET, NULL, "80") == NULL, "invalid host and port: (null):80");
    FAILS(dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", "x") == NULL, "127.0.0.1:x");
    FAILS(dpl_conn_open_file(ctx, -1) == NULL, "descriptor -1: Bad file descriptor");
    FAILS(dpl_conn_writev_all(NULL, NULL, 0, 1) == DPL_EINVAL, "the connection is NULL");
    FAILS(dpl_conn_pool_init(NULL) == DPL_EINVAL, "the context is NULL");
    FAILS(dpl_addrlist_add(list, "127.0.0.1", "99999") == DPL_EINVAL, "127.0.0.1:99999");
    FAILS(dpl_addrlist_get_nth(NULL, 0, &addr) == DPL_ENOENT, "not found");
    FAILS(dpl_addrlist_get_byname_nolock(list, "127.0.0.9", "9") == NULL, "not found");
    FAILS(dplx_req_new(NULL, NULL) == NULL, "the context is NULL");
    FAILS(dplx_conn_read(NULL, &byte, 1, 0) == DPL_EINVAL, "the connection is NULL");
    FAILS(dplx_conn_write(NULL, &byte, 1, 0) == DPL_EINVAL, "the connection is NULL");
    FAILS(dplx_conn_reply_complete(NULL) == DPL_EINVAL, "the connection is NULL");
    FAILS(dplx_conn_fd(NULL) == -1, "the connection is NULL");
    FAILS(dplx_conn_info(NULL, NULL) == DPL_EINVAL, "the connection is NULL");
    CHECK_INT(logs_with("dplx_"), 0, "misuse of dplx_ functions is told there only");
    FAILS(dplx_connect(ctx, -2) == NULL, "invalid time: -2 ms");
    FAILS(dplx_ctx_set_wait(ctx, -2) == DPL_EINVAL, "invalid time: -2 ms");
    FAILS(dplx_cancel(999999) == DPL_ENOENT, dplx_status_text(DPL_ENOENT));
    conn = checkout(ctx);
    FAILS(dplx_conn_read(conn, &byte, 1, -2) == DPL_EINVAL, "invalid time: -2 ms");
    FAILS(dplx_conn_write(conn, &byte, 1, -2) == DPL_EINVAL, "invalid time: -2 ms");
    FAILS(dplx_reply_status(conn, -2) == DPL_EINVAL, "invalid time: -2 ms");
    FAILS(dplx_reply_read(conn, &byte, 1, -2) == DPL_EINVAL, "invalid time: -2 ms");
    CHECK(answered_on(conn, 1), "the connection can be used afterwards");
    dpl_conn_release(conn);

    memset(bucket, 'b', sizeof bucket - 1);
    dpl_req_add_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    dpl_req_set_bucket(req, bucket);
    FAILS(dpl_try_connect(ctx, req, &conn) == DPL_ENAMETOOLONG, "name too long");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* A release may find that a parked connection attempt has failed. That is not its own failure. */
static void release_that_succeeds_leaves_the_text_alone(void) {
    struct server *servers[2] = {server_answering(1), server_answering(2)};
    dpl_ctx_t *ctx;
    dpl_conn_t *conns[2];
    char more[80];

    snprintf(more, sizeof more, "connection_timeout = %d", (int)patience(1));
    ctx = context_over_servers(servers, 2, more);
    server_go_deaf(servers[0]);
    for (int i = 0; i < 2; i++)
        REQUIRE((conns[i] = checkout(ctx)) != NULL, "the host that is well serves");
    for (int i = 0; i < 2; i++)
        CHECK(answered_on(conns[i], i), "a request is answered");
    sleep_ms((int)(1000 * patience(1)) + 500);
    logs_collect();
    REQUIRE(dplx_conn_fd(NULL) == -1, "a call fails");
    for (int i = 0; i < 2; i++)
        dpl_conn_release(conns[i]);
    CHECK(logs_with("timed out") > 0, "the attempt at the other host is found to have failed");
    CHECK_STR(dplx_last_error(), "the connection is NULL", "the text belongs to the call");
    dpl_ctx_free(ctx);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

/* ---- threads ----------------------------------------------------------------------- */

static void *fail_elsewhere(void *server) {
    dpl_ctx_t *ctx = context_over_server(server, "");

    REQUIRE(strcmp(dplx_last_error(), "") == 0, "a new thread has no error");
    REQUIRE(checkout(ctx) == NULL && error_has(refusal_of(server)), "another thread has its own");
    dpl_ctx_free(ctx);
    return NULL;
}

static void each_thread_has_its_own(void) {
    struct server *servers[2] = {refusing(), refusing()};
    dpl_ctx_t *ctx = context_over_server(servers[0], "");
    pthread_t thread;

    REQUIRE(checkout(ctx) == NULL, "one thread fails");
    pthread_create(&thread, NULL, fail_elsewhere, servers[1]);
    pthread_join(thread, NULL);
    CHECK_STR(dplx_last_error(), refusal_of(servers[0]), "the first still has its own");
    dpl_ctx_free(ctx);
    for (int i = 0; i < 2; i++)
        server_stop(servers[i]);
}

/* ---- the log ----------------------------------------------------------------------- */

struct heard {
    dpl_ctx_t *ctx;
    int count;
    int level;
    bool calls_back;
    char message[256];
};

static void hear(void *user, dpl_ctx_t *ctx, int level, const char *message) {
    struct heard *heard = user;

    heard->count++;
    heard->ctx = ctx;
    heard->level = level;
    snprintf(heard->message, sizeof heard->message, "%s", message);
    if (heard->calls_back) {
        free(dpl_addrlist_get(ctx->addrlist));
        dplx_pool_stats(ctx, &(dplx_pool_stats_t){.size = sizeof(dplx_pool_stats_t)});
        dplx_set_log(hear, user);
    }
}

static void messages_go_where_they_are_wanted(void) {
    struct server *server = refusing(), *second = refusing();
    dpl_ctx_t *ctx = context_over_server(server, "blacklist_expiretime = 0"), *other;
    struct heard heard = {0};
    char expected[256];

    logs_collect();
    dplx_set_log(hear, &heard);
    REQUIRE(checkout(ctx) == NULL, "a call fails");
    CHECK_INT(heard.count, 1, "one message is heard");
    snprintf(expected, sizeof expected, "dpl_try_connect: %s", refusal_of(server));
    CHECK(strcmp(heard.message, expected) == 0, "it names the function and the cause");
    CHECK(heard.ctx == ctx, "comes with the context");
    CHECK_INT(heard.level, DPL_ERROR, "and the level");
    CHECK_INT(logs_count(), 0, "Droplet's log has none of it");

    CHECK(dplx_conn_fd(NULL) == -1, "a call without a context fails");
    CHECK_STR(heard.message, "dplx_conn_fd: the connection is NULL", "which is heard");
    CHECK(heard.ctx == NULL, "with none");

    heard.calls_back = true;
    REQUIRE(checkout(ctx) == NULL, "a call fails whose message is answered with calls");
    CHECK_STR(dplx_last_error(), refusal_of(server), "its text is there afterwards");
    other = context_over_servers((struct server *[]){server, second}, 2, "");
    REQUIRE(checkout(other) == NULL, "one fails with two messages");
    CHECK(strstr(dplx_last_error(), refusal_of(server)), "the text has the reason of the first host");
    CHECK(strstr(dplx_last_error(), refusal_of(second)), "and that of the second one");
    dpl_ctx_free(other);

    dplx_set_log(NULL, NULL);
    heard.count = 0;
    REQUIRE(checkout(ctx) == NULL, "a call fails when nobody listens any more");
    CHECK_INT(heard.count, 0, "nothing is heard");
    CHECK_INT(logs_count(), 1, "but Droplet's log has it");
    dpl_ctx_free(ctx);
    server_stop(server);
    server_stop(second);
}

/* ---- what belongs to the callback -------------------------------------------------- */

struct owned {
    atomic_int calls, releases;
    atomic_bool may_go_on;
    bool waits;
    struct owned *next; /* set by the callback */
};

static void release(void *user) {
    struct owned *owned = user;

    owned->releases++;
}

static void hear_slowly(void *user, dpl_ctx_t *ctx, int level, const char *message) {
    struct owned *owned = user;

    (void)ctx;
    (void)level;
    (void)message;
    owned->calls++;
    if (owned->next)
        dplx_set_log_owned(hear_slowly, owned->next, release);
    while (owned->waits && !owned->may_go_on)
        sleep_ms(1);
    owned->calls += owned->releases * 1000; /* nothing is to be used after it was released */
}

static void *fail_once(void *unused) {
    dplx_conn_fd(NULL);
    return unused;
}

static void callback_is_released_when_it_was_replaced(void) {
    struct owned first = {0}, second = {0}, none = {0};

    dplx_set_log_owned(hear_slowly, &first, release);
    fail_once(NULL);
    CHECK(first.calls == 1 && first.releases == 0, "a callback is called");
    dplx_set_log_owned(hear_slowly, &second, release);
    CHECK_INT(first.releases, 1, "replaced, it is released at once");
    fail_once(NULL);
    CHECK(first.calls == 1 && second.calls == 1, "the second is called");
    dplx_set_log(NULL, NULL);
    CHECK_INT(second.releases, 1, "and released when there is none any more");
    dplx_set_log_owned(NULL, &none, release);
    CHECK_INT(none.releases, 1, "without a callback there is nothing to wait for");
    dplx_set_log_owned(hear_slowly, &none, NULL);
    dplx_set_log(NULL, NULL);
    CHECK(first.releases == 1 && second.releases == 1 && none.releases == 1, "each once");
}

/* Replacing it does not wait for threads that are in it; the last thread to leave releases it. */
static void callback_is_released_when_the_last_thread_leaves_it(void) {
    struct owned slow = {.waits = true};
    pthread_t threads[3];

    dplx_set_log_owned(hear_slowly, &slow, release);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, fail_once, NULL);
    REQUIRE(EVENTUALLY(slow.calls == 3), "three threads are in it");
    dplx_set_log(NULL, NULL);
    CHECK_INT(slow.releases, 0, "replaced meanwhile, it is still in use");
    slow.may_go_on = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(slow.releases, 1, "they leave it, it is released");
    CHECK_INT(slow.calls, 3, "and was not used after that");
}

static void callback_may_replace_itself(void) {
    struct owned last = {0}, first = {.next = &last};

    dplx_set_log_owned(hear_slowly, &first, release);
    fail_once(NULL);
    CHECK(first.releases == 1 && first.calls == 1, "it is released after it has come back");
    fail_once(NULL);
    CHECK(last.calls == 1 && last.releases == 0, "the next is called");
    dplx_set_log(NULL, NULL);
}

int main(void) {
    test_begin("dplx_errors");
    RUN(text_names_each_host_and_cause);
    RUN(success_has_no_text);
    RUN(cleaning_up_keeps_the_text);
    RUN(misuse_is_told_as_well);
    RUN(every_failure_has_a_text);
    RUN(release_that_succeeds_leaves_the_text_alone);
    RUN(each_thread_has_its_own);
    RUN(messages_go_where_they_are_wanted);
    RUN(callback_is_released_when_it_was_replaced);
    RUN(callback_is_released_when_the_last_thread_leaves_it);
    RUN(callback_may_replace_itself);
    return test_end();
}
