/* Fields of a connection that the program frees and replaces: names and buffer are blocks of malloc()
 * of their own. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"

static struct server *server;
static dpl_ctx_t *ctx;

static void begin(void) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
}

static void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void replace(char **field, const char *text) {
    free(*field);
    *field = text ? strdup(text) : NULL;
}

static bool has_its_names(const dpl_conn_t *conn) {
    return conn->host && strcmp(conn->host, "127.0.0.1") == 0 && conn->port &&
           strcmp(conn->port, server_port(server)) == 0;
}

static void check_names(const char *host, const char *port, const char *what) {
    dpl_conn_t *conn = checkout(ctx);
    int hits = conn ? conn->n_hits : 0;

    REQUIRE(conn && has_its_names(conn), "a connection has the names of its host");
    replace(&conn->host, host);
    replace(&conn->port, port);
    CHECK(answered_on(conn, 1), "%s: the connection serves", what);
    dpl_conn_release(conn);
    conn = checkout(ctx);
    REQUIRE(conn, "there is a connection");
    CHECK_INT(conn->n_hits, hits + 1, "it is used again");
    CHECK(has_its_names(conn), "by its own names");
    dpl_conn_release(conn);
}

static void names_may_be_replaced(void) {
    dpl_conn_t *conn;

    begin();
    check_names("a.name.of.the.programs", "1", "other names");
    check_names("127.0.0.1", NULL, "no port");
    check_names(NULL, NULL, "no names");
    conn = checkout(ctx);
    replace(&conn->host, "another");
    dpl_conn_terminate(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "terminated, it is closed");
    end();
}

static void buffer_may_be_replaced(void) {
    dpl_conn_t *conn;

    begin();
    conn = checkout(ctx);
    REQUIRE(conn && answered_on(conn, 1), "a request is answered");
    conn->read_buf_size *= 4;
    conn->read_buf = realloc(conn->read_buf, conn->read_buf_size);
    CHECK(answered_on(conn, 2), "with a larger buffer, another is");
    dpl_conn_release(conn);
    CHECK(answered(ctx, 3), "a later user has it as well");
    conn = checkout(ctx);
    REQUIRE(conn, "there is a connection");
    CHECK_INT(conn->n_hits, 2, "it is used again");
    free(conn->read_buf);
    conn->read_buf = NULL;
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "without a buffer it is closed");
    end();
}

/* As Droplet's reader says it, by the connection's own name. */
static void replaced_name_still_means_its_connection(void) {
    dpl_conn_t *conn;

    begin();
    CHECK(answered(ctx, 1), "a request is answered");
    conn = checkout(ctx);
    REQUIRE(conn && conn->n_hits == 1, "its connection is used again");
    replace(&conn->host, "127.0.0.1");
    dpl_blacklist_host(ctx, conn->host, conn->port);
    CHECK_INT(blacklisted_until(ctx, server), 0, "nothing came back on it: it went stale");
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "and is closed");
    end();
}

static void no_name_means_no_connection(void) {
    dpl_ctx_t *other;
    dpl_conn_t *conn, *file, *others;

    begin();
    other = context_over_server(server, "");
    file = dpl_conn_open_file(other, open("/dev/null", O_WRONLY | O_CLOEXEC));
    conn = checkout(ctx);
    others = checkout(other);
    REQUIRE(conn && file && others, "there are connections");
    replace(&conn->host, NULL);
    dpl_blacklist_host(ctx, NULL, "80");
    CHECK_STATUS(write_string(file, "x", 5), DPL_SUCCESS, "a file of another context is written to");
    CHECK(answered_on(conn, 1), "a connection without a name serves");
    dpl_blacklist_host(ctx, others->host, "80");
    CHECK(answered_on(others, 2), "so does another context's, whose name was given");
    dpl_conn_release(file);
    dpl_conn_release(conn);
    dpl_conn_release(others);
    CHECK_INT(other->n_conn_fds, 1, "which is kept");
    dpl_ctx_free(other);
    end();
}

int main(void) {
    test_begin("fields");
    RUN(names_may_be_replaced);
    RUN(buffer_may_be_replaced);
    RUN(replaced_name_still_means_its_connection);
    RUN(no_name_means_no_connection);
    return test_end();
}
