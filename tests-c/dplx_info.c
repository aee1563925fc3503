/* dplx_conn_info(), dplx_req_new(), and the arguments that functions of dplx_ refuse. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/dplx.h"

/* ---- arguments --------------------------------------------------------------------- */

static void nonsense_is_refused(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx = context_over_server(server, "");
    dpl_conn_t *conn = connect_by(ctx, NULL);
    dplx_conn_info_t info = {.size = sizeof info};
    char byte;

    CHECK_INT(dplx_conn_read(conn, NULL, 1, 0), DPL_EINVAL, "no buffer");
    CHECK_STR(dplx_last_error(), "invalid buffer (1 bytes)", "its text");
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

static void version_has_three_numbers(void) {
    int numbers[3], end = 0;

    CHECK_INT(sscanf(dplx_version(), "%d.%d.%d%n", &numbers[0], &numbers[1], &numbers[2], &end), 3,
              "numbers");
    CHECK(!dplx_version()[end], "and nothing else");
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
    CHECK_STATUS(dplx_conn_info(conn, &room.info), DPL_SUCCESS,
                 "one that knows more than there is");
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

    CHECK(!info.host && !info.port && !info.tls_version && !info.tls_cipher,
          "neither host nor TLS");
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
    test_begin("dplx_info");
    RUN(nonsense_is_refused);
    RUN(version_has_three_numbers);
    RUN(facts_are_told);
    RUN(bytes_are_counted);
    RUN(older_and_newer_callers_get_what_they_know);
    RUN(files_have_no_peer);
    RUN(request_is_as_droplet_makes_it);
    RUN(bucket_leads_to_a_virtual_host);
    return test_end();
}
