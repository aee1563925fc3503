/* Reading and writing through dplx_, and which connections are kept after it. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/peer.h"

/* Reads the whole of a reply, piece by piece; is it the answer? */
static bool answer_is(dpl_conn_t *conn, long number, size_t piece) {
    char reply[1024] = "";
    char body[64];
    size_t len = 0;
    ssize_t n;

    snprintf(body, sizeof body, "\r\n\r\n1 %ld\n", number);
    while (strstr(reply, body) == NULL) {
        n = dplx_conn_read(conn, reply + len, piece, LIMIT_MS);
        if (n <= 0 || len + (size_t)n + piece >= sizeof reply)
            return false;
        len += (size_t)n;
    }
    return strlen(strstr(reply, body)) == strlen(body);
}

/* ---- reading ----------------------------------------------------------------------- */

static void reply_is_read_in_pieces_of_any_size(void) {
    static const size_t pieces[] = {1, 2, 7, 500};
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);

    for (int i = 0; i < 4; i++) {
        ask_by(conn, i);
        CHECK(answer_is(conn, i, pieces[i]), "a reply is read %zu bytes at a time", pieces[i]);
    }
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void read_gives_what_there_is(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    char reply[4096];

    ask_by(conn, 1);
    CHECK(dplx_conn_read(conn, reply, sizeof reply, -1) > 0, "it does not wait for a full buffer");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void silence_is_a_timeout_and_no_end(void) {
    struct server *server =
        server_start((struct server_options){.id = 1, .behaviour = ANSWER, .think_ms = 1000});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    double begin;
    char byte;

    CHECK_INT(dplx_conn_read(conn, &byte, 1, 0), DPL_ETIMEOUT, "nothing is there");
    ask_by(conn, 1);
    begin = seconds_now();
    CHECK_INT(dplx_conn_read(conn, &byte, 1, 100), DPL_ETIMEOUT, "nothing comes within 100 ms");
    CHECK(seconds_now() - begin >= 0.09, "which are waited for");
    CHECK(strstr(dplx_last_error(), ": timed out") != NULL, "the text says so");
    CHECK(answer_is(conn, 1, 100), "the answer comes later");
    CHECK_STATUS(dplx_conn_reply_complete(conn), DPL_SUCCESS, "and is all there is");
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 1, "the connection is kept");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void signals_do_not_prolong_a_read(void) {
    struct server *server = server_start((struct server_options){.behaviour = DISCARD});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    double begin = seconds_now();
    char byte;

    storm_begin(10000);
    CHECK_INT(dplx_conn_read(conn, &byte, 1, 500), DPL_ETIMEOUT, "a read times out");
    storm_end();
    CHECK(in_time(begin, 3), "in time");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void end_is_told_and_lasts(void) {
    struct server *server = server_start(
        (struct server_options){.id = 1, .behaviour = ANSWER, .requests_per_connection = 1});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    char byte;

    ask_by(conn, 1);
    CHECK(answer_is(conn, 1, 100), "a reply is read");
    if (tls_wanted()) { /* the server hangs up without a word */
        CHECK_INT(dplx_conn_read(conn, &byte, 1, LIMIT_MS), DPL_FAILURE, "TLS is cut off");
        CHECK(strstr(dplx_last_error(), "without a close_notify") != NULL, "the text says so");
        CHECK_INT(dplx_conn_read(conn, &byte, 1, LIMIT_MS), DPL_FAILURE, "for good");
    } else {
        CHECK_INT(dplx_conn_read(conn, &byte, 1, LIMIT_MS), 0, "then the end");
        CHECK_STR(dplx_last_error(), "", "which is no error");
        CHECK_INT(dplx_conn_read(conn, &byte, 1, LIMIT_MS), 0, "again");
    }
    CHECK_STATUS(dplx_conn_reply_complete(conn), DPL_SUCCESS, "the reply is complete");
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "but the connection is not kept");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void reset_is_a_failure(void) {
    struct server *server = server_start((struct server_options){.id = 1, .behaviour = ANSWER});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    char byte;

    ask_by(conn, 1);
    REQUIRE(answer_is(conn, 1, 100), "a reply is read");
    server_reset_connections(server);
    CHECK_INT(dplx_conn_read(conn, &byte, 1, LIMIT_MS), DPL_FAILURE, "a reset is a failure");
    CHECK(strstr(dplx_last_error(), server_name(server)) != NULL, "with the address");
    CHECK(tls_wanted() || strstr(dplx_last_error(), "Connection reset by peer") != NULL,
          "and the cause");
    CHECK_STATUS(dplx_conn_reply_complete(conn), DPL_SUCCESS, "the reply had been complete");
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "but the connection is not kept");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* Over TLS in any case: the server says goodbye as it should, after tickets and data. */
static void goodbye_of_tls_is_the_end(void) {
    struct peer *peer = peer_start(server_tls_new(NULL));
    char profile[512];
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
    char text[8] = "";

    snprintf(profile, sizeof profile,
             "use_https = true\nssl_ca_list = \"%s\"\nhost = %s\npricing_dir = \"\"\n",
             authority_file(), peer_name(peer));
    ctx = context_from_text(profile);
    conn = connect_by(ctx, NULL);
    REQUIRE(peer_tls(peer, 0), "a connection is made");
    CHECK_INT(dplx_conn_read(conn, text, 1, 50), DPL_ETIMEOUT, "tickets are no data");
    SSL_write(peer_tls(peer, 0), "data", 4);
    SSL_shutdown(peer_tls(peer, 0));
    CHECK_INT(dplx_conn_read(conn, text, sizeof text, LIMIT_MS), 4, "data is");
    CHECK_STR(text, "data", "as it was written");
    CHECK_INT(dplx_conn_read(conn, text, sizeof text, LIMIT_MS), 0, "then comes the end");
    CHECK_STR(dplx_last_error(), "", "which is no error");
    dplx_conn_reply_complete(conn);
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "and the connection is not kept");
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void files_are_read(void) {
    struct server *bystander = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(bystander, "");
    int pipes[2], sockets[2];
    FILE *file = tmpfile();
    char text[8] = "";

    REQUIRE(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0 && file, "files");
    REQUIRE(fputs("file", file) >= 0 && fflush(file) == 0 && lseek(fileno(file), 0, SEEK_SET) == 0,
            "with something in them");
    for (int i = 0; i < 3; i++) {
        int readers[3] = {pipes[0], sockets[0], dup(fileno(file))};
        int writers[2] = {pipes[1], sockets[1]};
        dpl_conn_t *conn = dpl_conn_open_file(ctx, readers[i]);

        REQUIRE(conn, "a connection is made");
        if (i < 2) {
            CHECK_INT(dplx_conn_read(conn, text, 4, 50), DPL_ETIMEOUT, "there is nothing yet");
            REQUIRE(write(writers[i], "file", 4) == 4, "something is written");
            close(writers[i]);
        }
        CHECK_INT(dplx_conn_read(conn, text, sizeof text, LIMIT_MS), 4, "it is read");
        CHECK_STR(text, "file", "as it was written");
        CHECK_INT(dplx_conn_read(conn, text, sizeof text, LIMIT_MS), 0, "to its end");
        if (i == 0)
            close(readers[2]);
        dpl_conn_release(conn);
    }
    fclose(file);
    dpl_ctx_free(ctx);
    server_stop(bystander);
}

/* ---- given back -------------------------------------------------------------------- */

static void check_kept(dpl_ctx_t *ctx, dpl_conn_t *conn, int kept, const char *what) {
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, kept, "%s: %s", what, kept ? "kept" : "closed");
}

static void only_complete_replies_are_followed(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    char byte;

    ask_by(conn, 1);
    REQUIRE(answer_is(conn, 1, 100), "a reply is read");
    check_kept(ctx, conn, 0, "a reply that was not said to be complete");

    conn = connect_by(ctx, NULL);
    ask_by(conn, 2);
    check_kept(ctx, conn, 0, "a request without a reply");

    conn = connect_by(ctx, NULL);
    REQUIRE(send_get(conn, 3) == DPL_SUCCESS && dplx_conn_read(conn, &byte, 1, LIMIT_MS) == 1,
            "a reply is begun after dpl_conn_writev_all()");
    check_kept(ctx, conn, 0, "half a reply");

    conn = connect_by(ctx, NULL);
    ask_by(conn, 4);
    REQUIRE(answer_is(conn, 4, 100), "a reply is read");
    dplx_conn_reply_complete(conn);
    ask_by(conn, 5);
    check_kept(ctx, conn, 0, "a second request after a complete reply");

    conn = connect_by(ctx, NULL);
    check_kept(ctx, conn, 1, "a connection that was not used");

    for (int i = 6; i < 9; i++) {
        conn = connect_by(ctx, NULL);
        ask_by(conn, i);
        REQUIRE(answer_is(conn, i, 100), "a reply is read");
        dplx_conn_reply_complete(conn);
        check_kept(ctx, conn, 1, "a complete reply");
    }
    CHECK_INT(server_accepted(server), 5, "which the next requests had in turn");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void droplets_reader_needs_no_word(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn;

    for (int i = 0; i < 3; i++) {
        conn = connect_by(ctx, NULL);
        REQUIRE(answered_on(conn, i), "a request is answered, without dplx_");
        check_kept(ctx, conn, 1, "Droplet's reader");
    }
    CHECK_INT(server_accepted(server), 1, "one connection for all");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void what_droplets_reader_left_comes_first(void) {
    static const char surplus[] = "HTTP/1.1 200 surplus\r\n";
    struct server *server =
        server_start((struct server_options){.id = 1, .behaviour = ANSWER_AND_MORE});
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    char text[64] = "";

    REQUIRE(answered_on(conn, 1), "Droplet's reader reads a reply");
    REQUIRE(conn->cc > conn->read_buf_pos, "and has read beyond it");
    CHECK_INT(dplx_conn_read(conn, text, 4, 0), 4, "dplx_conn_read() goes on there");
    CHECK_INT(dplx_conn_read(conn, text + 4, sizeof text - 5, 0), (long)sizeof surplus - 5,
              "to the last byte");
    CHECK_STR(text, surplus, "it is what came");
    CHECK_INT(dplx_conn_read(conn, text, 4, 0), DPL_ETIMEOUT, "and all that came");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("dplx_conn");
    RUN(reply_is_read_in_pieces_of_any_size);
    RUN(read_gives_what_there_is);
    RUN(silence_is_a_timeout_and_no_end);
    RUN(signals_do_not_prolong_a_read);
    RUN(end_is_told_and_lasts);
    RUN(reset_is_a_failure);
    RUN(goodbye_of_tls_is_the_end);
    RUN(files_are_read);
    RUN(only_complete_replies_are_followed);
    RUN(droplets_reader_needs_no_word);
    RUN(what_droplets_reader_left_comes_first);
    return test_end();
}
