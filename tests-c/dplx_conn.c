/* Reading and writing through dplx_, and what it tells of a connection. */
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

enum { LIMIT_MS = 10000 };

/* ---- a client ---------------------------------------------------------------------- */

static dpl_conn_t *connect_by(dpl_ctx_t *ctx, const char *bucket) {
    dpl_req_t *req = dplx_req_new(ctx, bucket);
    dpl_conn_t *conn = NULL;

    REQUIRE(req, "a request is made");
    REQUIRE(dpl_try_connect(ctx, req, &conn) == DPL_SUCCESS, "a connection is made");
    dplx_req_free(req);
    return conn;
}

static void ask_by(dpl_conn_t *conn, long number) {
    char request[64];
    int len = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nX-Number: %ld\r\n\r\n", number);

    REQUIRE(dplx_conn_write(conn, request, (size_t)len, LIMIT_MS) == DPL_SUCCESS,
            "request %ld is written", number);
}

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
    CHECK(seconds_now() - begin < patience(3), "in time");
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

/* ---- arguments --------------------------------------------------------------------- */

static void nonsense_is_refused(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    dplx_conn_info_t info = {.size = sizeof info};
    char byte;

    CHECK_INT(dplx_conn_read(conn, NULL, 1, 0), DPL_EINVAL, "no buffer");
    CHECK_STR(dplx_last_error(), "no buffer of 1 bytes", "its text");
    CHECK_INT(dplx_conn_read(conn, &byte, 0, 0), DPL_EINVAL, "a buffer of 0 bytes");
    CHECK_INT(dplx_conn_read(conn, &byte, SIZE_MAX, 0), DPL_EINVAL, "one larger than memory");
    CHECK_STATUS(dplx_conn_write(conn, NULL, 1, 0), DPL_EINVAL, "no bytes");
    CHECK_STATUS(dplx_conn_write(conn, NULL, 0, 0), DPL_SUCCESS, "nothing to write");
    CHECK_STATUS(dplx_conn_info(conn, NULL), DPL_EINVAL, "no struct");
    info.size = 0;
    CHECK_STATUS(dplx_conn_info(conn, &info), DPL_EINVAL, "a struct of 0 bytes");
    CHECK(strstr(dplx_last_error(), "its size is not set") != NULL, "its text");
    info.size = 7;
    CHECK_STATUS(dplx_conn_info(conn, &info), DPL_EINVAL, "of 7 bytes");
    dpl_conn_terminate(conn);
    CHECK_INT(dplx_conn_read(conn, &byte, 1, 0), DPL_EINVAL, "a read after its end");
    CHECK_STATUS(dplx_conn_write(conn, &byte, 1, 0), DPL_EINVAL, "a write");
    CHECK_STATUS(dplx_conn_reply_complete(conn), DPL_EINVAL, "a reply");
    CHECK_INT(dplx_conn_fd(conn), -1, "a descriptor");
    info.size = sizeof info;
    CHECK_STATUS(dplx_conn_info(conn, &info), DPL_EINVAL, "facts");
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- facts ------------------------------------------------------------------------- */

static dplx_conn_info_t info_of(dpl_conn_t *conn) {
    dplx_conn_info_t info;

    memset(&info, 'x', sizeof info);
    info.size = sizeof info;
    CHECK_STATUS(dplx_conn_info(conn, &info), DPL_SUCCESS, "facts are told");
    CHECK_INT((long)info.size, (long)sizeof info, "the size is the caller's");
    return info;
}

static void facts_are_told(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    dplx_conn_info_t info = info_of(conn);
    bool tls = tls_wanted();

    CHECK_STR(info.host, "127.0.0.1", "the host");
    CHECK(strcmp(info.port, server_port(server)) == 0, "the port");
    CHECK(strcmp(info.peer, server_name(server)) == 0, "the address");
    CHECK_INT(info.reused, 0, "a new connection");
    CHECK(tls ? strcmp(info.tls_version, SSL_get_version(conn->ssl)) == 0 : !info.tls_version,
          "the version of TLS");
    CHECK(tls ? strcmp(info.tls_cipher, SSL_get_cipher_name(conn->ssl)) == 0 : !info.tls_cipher,
          "the cipher");
    CHECK_INT(info.tls_resumed, 0, "no session was resumed");
    CHECK_INT(dplx_conn_fd(conn), conn->fd, "the descriptor");
    REQUIRE(answered_on(conn, 1), "a request is answered");
    dpl_conn_release(conn);

    conn = connect_by(ctx, NULL);
    CHECK_INT(info_of(conn).reused, 1, "reused");
    dpl_conn_release(conn);
    ctx->n_conn_max_hits = 0;
    conn = connect_by(ctx, NULL);
    info = info_of(conn);
    CHECK_INT(info.reused, 0, "another new one");
    CHECK_INT(info.tls_resumed, tls, "resumed, over TLS");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void bytes_are_counted(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    dplx_conn_info_t before = info_of(conn), after;
    char reply[512];
    ssize_t n;

    CHECK((before.bytes_out == 0) == !tls_wanted(), "a handshake counts, where there is one");
    ask_by(conn, 1); /* 31 bytes */
    after = info_of(conn);
    if (tls_wanted())
        CHECK(after.bytes_out - before.bytes_out > 31, "TLS adds to what is written");
    else
        CHECK_INT((long)(after.bytes_out - before.bytes_out), 31, "what is written is counted");
    n = dplx_conn_read(conn, reply, sizeof reply, LIMIT_MS);
    after = info_of(conn);
    if (tls_wanted())
        CHECK(after.bytes_in > before.bytes_in + (uint64_t)n, "and to what is read");
    else
        CHECK_INT((long)after.bytes_in, (long)n, "and so is what is read");

    before = info_of(conn);
    REQUIRE(answered_on(conn, 2), "Droplet's reader reads a reply");
    CHECK(info_of(conn).bytes_in > before.bytes_in, "which is counted as well");
    before = info_of(conn);
    server_close_connections(server);
    CHECK_INT(dplx_conn_read(conn, reply, sizeof reply, LIMIT_MS), 0, "the end");
    if (!tls_wanted())
        CHECK_INT((long)info_of(conn).bytes_in, (long)before.bytes_in, "is no byte");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void older_and_newer_callers_get_what_they_know(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    struct {
        dplx_conn_info_t info;
        char more[16];
    } room;
    static const char zeros[16];

    memset(&room, 'x', sizeof room);
    room.info.size = offsetof(dplx_conn_info_t, tls_version);
    CHECK_STATUS(dplx_conn_info(conn, &room.info), DPL_SUCCESS, "a caller that knows three fields");
    CHECK_STR(room.info.host, "127.0.0.1", "gets them");
    CHECK(memchr(&room.info.tls_version, 'x', 1) != NULL && room.info.peer[0] == 'x',
          "and nothing else is touched");

    memset(&room, 'x', sizeof room);
    room.info.size = sizeof room;
    CHECK_STATUS(dplx_conn_info(conn, &room.info), DPL_SUCCESS, "one that knows more than there is");
    CHECK_STR(room.info.host, "127.0.0.1", "gets all there is");
    CHECK(memcmp(room.more, zeros, sizeof zeros) == 0, "and zeros");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void files_have_no_peer(void) {
    struct server *bystander = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(bystander, "");
    dpl_conn_t *conn = dpl_conn_open_file(ctx, dup(2));
    dplx_conn_info_t info = info_of(conn);

    CHECK(!info.host && !info.port && !info.tls_version && !info.tls_cipher, "neither host nor TLS");
    CHECK_STR(info.peer, "", "no address");
    CHECK(info.bytes_in == 0 && info.bytes_out == 0, "no bytes");
    dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    server_stop(bystander);
}

/* ---- requests ---------------------------------------------------------------------- */

static void request_is_as_droplet_makes_it(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_req_t *ours = dplx_req_new(ctx, "bucket");
    dpl_req_t *theirs = dpl_req_new(ctx);
    dpl_dict_t *metadata;

    dpl_req_set_bucket(theirs, "bucket");
    REQUIRE(ours && theirs, "both are made");
    CHECK(ours->ctx == ctx, "the context");
    CHECK_STR(ours->bucket, theirs->bucket, "the bucket");
    CHECK_INT(ours->behavior_flags, theirs->behavior_flags, "the flags");
    free(ours->bucket);
    free(theirs->bucket);
    ours->bucket = theirs->bucket = NULL;
    metadata = theirs->metadata;
    theirs->metadata = ours->metadata; /* each has its own, or none */
    CHECK(memcmp(ours, theirs, sizeof *ours) == 0, "and all the rest, to the byte");
    theirs->metadata = metadata;
    dpl_req_free(ours);
    dplx_req_free(theirs);
    dplx_req_free(NULL);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void bucket_leads_to_a_virtual_host(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_req_t *req = dplx_req_new(ctx, "no-such-bucket-" /* a label of more than 63 characters */
                                       "0123456789012345678901234567890123456789012345678901234");
    dpl_conn_t *conn = NULL;

    CHECK_STATUS(dpl_try_connect(ctx, req, &conn), DPL_FAILURE, "the bucket is part of the name");
    CHECK(strstr(dplx_last_error(), "no address for no-such-bucket-0") != NULL, "which is told");
    dplx_req_free(req);
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
    RUN(nonsense_is_refused);
    RUN(facts_are_told);
    RUN(bytes_are_counted);
    RUN(older_and_newer_callers_get_what_they_know);
    RUN(files_have_no_peer);
    RUN(request_is_as_droplet_makes_it);
    RUN(bucket_leads_to_a_virtual_host);
    return test_end();
}
