/* Replies that nobody waited for: a connection on which one may still come serves nobody else. The
 * server thinks for a while before it answers, so that no look at the socket would show the reply. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/peer.h"

enum { THINK_MS = 300 };

static struct server *server;
static dpl_ctx_t *ctx;

static void begin(int think_ms) {
    server = server_start((struct server_options){.id = 1, .think_ms = think_ms});
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
}

static void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

/* ---- programs that read by themselves ---------------------------------------------- */

/* One read, past the library and Droplet's reader. */
static ssize_t read_some(dpl_conn_t *conn, char *to, size_t size) {
    return conn->ssl ? SSL_read(conn->ssl, to, (int)size) : recv(conn->fd, to, size, 0);
}

/* The reply comes in one piece. */
static bool read_own_reply(dpl_conn_t *conn, char *to, size_t size, long number) {
    ssize_t n = read_some(conn, to, size - 1);
    char body[32];

    snprintf(body, sizeof body, "\r\n\r\n1 %ld\n", number);
    to[n > 0 ? n : 0] = '\0';
    return strstr(to, body) != NULL;
}

static bool asked_by_itself(dpl_conn_t *conn, long number) {
    char reply[1024];

    return conn && send_get(conn, number) == DPL_SUCCESS &&
           read_own_reply(conn, reply, sizeof reply, number);
}

/* As Droplet's reader does, into the connection's own buffer. */
static bool asked_into_buffer(dpl_conn_t *conn, long number) {
    return conn && send_get(conn, number) == DPL_SUCCESS &&
           read_own_reply(conn, conn->read_buf, conn->read_buf_size, number);
}

/* ---- what may still be answered ---------------------------------------------------- */

static void check_given_up(dpl_conn_t *conn, const char *what) {
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 0, "%s: released, the connection is closed", what);
    CHECK(answered(ctx, 99), "the next request gets its own answer");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
}

static void late_reply_does_not_answer_the_next_request(void) {
    dpl_conn_t *conn;

    begin(THINK_MS);
    conn = checkout(ctx);
    REQUIRE(conn && send_get(conn, 1) == DPL_SUCCESS, "a request is sent");
    check_given_up(conn, "nobody waits for the reply");
    end();
}

static void nor_does_that_of_a_reused_connection(void) {
    dpl_conn_t *conn;

    begin(THINK_MS);
    CHECK(answered(ctx, 1), "a request is answered");
    conn = checkout(ctx);
    REQUIRE(conn && conn->n_hits == 1 && send_get(conn, 2) == DPL_SUCCESS, "the next is sent");
    check_given_up(conn, "nobody waits for the reply");
    end();
}

static void request_in_several_writes_is_one(void) {
    dpl_conn_t *conn;

    begin(THINK_MS);
    conn = checkout(ctx);
    REQUIRE(conn && write_string(conn, "GET /1 HTTP/1.1\r\n", 5) == DPL_SUCCESS &&
                write_string(conn, "X-Number: 1\r\n", 5) == DPL_SUCCESS &&
                write_string(conn, "\r\n", 5) == DPL_SUCCESS,
            "a request is sent in three writes");
    check_given_up(conn, "nobody waits for the reply");
    end();
}

static void half_a_request_is_one_too(void) {
    dpl_conn_t *conn;

    begin(0);
    conn = checkout(ctx);
    REQUIRE(conn && write_string(conn, "GET /1 HT", 5) == DPL_SUCCESS, "half a request is sent");
    check_given_up(conn, "the other half is not");
    end();
}

static void reply_to_the_first_request_is_none_to_the_second(void) {
    dpl_conn_t *conn;

    begin(THINK_MS);
    conn = checkout(ctx);
    REQUIRE(conn && answered_on(conn, 1) && answered_on(conn, 2), "two requests are answered");
    REQUIRE(send_get(conn, 3) == DPL_SUCCESS, "on the same connection a third is sent");
    check_given_up(conn, "nobody waits for its reply");
    conn = checkout(ctx);
    REQUIRE(conn && asked_into_buffer(conn, 4), "one is answered, and read by the program");
    REQUIRE(send_get(conn, 5) == DPL_SUCCESS, "on the same connection another is sent");
    check_given_up(conn, "nobody waits for its reply");
    end();
}

static void reply_to_an_earlier_user_is_none_to_a_later_one(void) {
    dpl_conn_t *conn;

    begin(THINK_MS);
    for (int i = 1; i <= 2; i++) {
        conn = checkout(ctx);
        REQUIRE(asked_by_itself(conn, i), "a request is answered, and read by the program");
        dpl_conn_release(conn);
    }
    conn = checkout(ctx);
    REQUIRE(conn && conn->n_hits == 2, "its connection is used a third time");
    REQUIRE(send_get(conn, 3) == DPL_SUCCESS, "a request is sent");
    check_given_up(conn, "nobody waits for the reply");
    end();
}

static void program_cannot_say_that_a_reply_has_come(void) {
    static const char request[] = "GET /1 HTTP/1.1\r\nX-Number: 1\r\n\r\n";
    dpl_conn_t *conn;

    begin(THINK_MS);
    conn = checkout(ctx);
    REQUIRE(dplx_conn_write(conn, request, sizeof request - 1, 5000) == DPL_SUCCESS, "one is sent");
    CHECK_STATUS(dplx_conn_reply_complete(conn), DPL_SUCCESS, "the program takes it for answered");
    check_given_up(conn, "it is not");
    end();
}

/* ---- chunked replies --------------------------------------------------------------- */

static atomic_int last_line_after_ms;
static const char chunks[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
enum { CHUNKS = sizeof chunks - 1 };

/* Each reply ends with an empty line, which comes later than the rest. */
static void answer_in_chunks(int fd) {
    while (client_speaks(fd)) {
        send_raw(fd, chunks, CHUNKS);
        if (!client_stays(fd, last_line_after_ms))
            return;
        send_raw(fd, "\r\n", 2);
    }
}

/* Droplet's reader stops behind the last chunk. */
static bool read_chunks(dpl_conn_t *conn) {
    ssize_t n = recv(conn->fd, conn->read_buf, CHUNKS, MSG_WAITALL);

    conn->cc = n;
    conn->read_buf_pos = (int)n;
    return n == CHUNKS && memcmp(conn->read_buf, chunks, CHUNKS) == 0;
}

static void check_last_line(int after_ms, int kept) {
    struct peer *peer;
    dpl_conn_t *conn;

    if (tls_wanted()) {
        check_skip("the peer is plain");
        return;
    }
    last_line_after_ms = after_ms;
    peer = peer_start_at("127.0.0.1", NULL, answer_in_chunks);
    ctx = context_over(peer_name(peer), "");
    conn = checkout(ctx);
    REQUIRE(conn && send_get(conn, 1) == DPL_SUCCESS && read_chunks(conn), "a reply is read");
    if (kept) {
        char line[2];

        CHECK(EVENTUALLY(recv(conn->fd, line, 2, MSG_PEEK | MSG_DONTWAIT) == 2), "its end has come");
    }
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, kept, "the connection is kept if its reply has ended");
    if (!kept)
        sleep_ms(after_ms);
    conn = checkout(ctx);
    CHECK(conn && send_get(conn, 2) == DPL_SUCCESS && read_chunks(conn), "the next has its own reply");
    dpl_conn_terminate(conn);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void last_line_may_come_late(void) {
    check_last_line(200, 0);
}

static void last_line_may_have_come(void) {
    check_last_line(0, 1);
}

/* Droplet's reader has read two bytes more than it used. `offset`: where it stopped, from the last line on. */
static void check_rest_in_buffer(int offset, int kept, const char *what) {
    struct peer *peer = peer_start_at("127.0.0.1", NULL, answer_in_chunks);
    dpl_conn_t *conn;

    ctx = context_over(peer_name(peer), "");
    conn = checkout(ctx);
    REQUIRE(conn && send_get(conn, 1) == DPL_SUCCESS, "a request is sent");
    conn->cc = recv(conn->fd, conn->read_buf, CHUNKS + 2, MSG_WAITALL);
    REQUIRE(conn->cc == CHUNKS + 2, "all of the reply is read");
    conn->read_buf_pos = CHUNKS + offset;
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, kept, "%s", what);
    dpl_ctx_free(ctx);
    peer_stop(peer);
}

static void last_line_may_be_in_the_buffer(void) {
    if (tls_wanted()) {
        check_skip("the peer is plain");
        return;
    }
    last_line_after_ms = 0;
    check_rest_in_buffer(0, 1, "the last line was read and not used: the reply has ended");
    check_rest_in_buffer(-1, 0, "three bytes were not used: more than that line");
    check_rest_in_buffer(1, 0, "one byte was not used: less than that line");
    check_rest_in_buffer(-2, 0, "four bytes were not used");
    check_rest_in_buffer(2, 1, "all of it was used");
    check_rest_in_buffer(-(CHUNKS + 1), 0, "a place before the buffer");
}

/* ---- what has been ----------------------------------------------------------------- */

static void check_kept(dpl_conn_t *conn, const char *what) {
    dpl_conn_release(conn);
    CHECK_INT(ctx->n_conn_fds, 1, "%s: released, the connection is kept", what);
}

static void program_may_read_by_itself(void) {
    begin(0);
    for (int i = 0; i < 3; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(asked_by_itself(conn, i), "a reply is read into memory of the program's");
        check_kept(conn, "it was read to its end");
    }
    for (int i = 3; i < 6; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(asked_into_buffer(conn, i), "a reply is read into the buffer");
        check_kept(conn, "it was read to its end");
    }
    CHECK_INT(server_accepted(server), 1, "there was one connection");
    end();
}

static void readers_may_take_turns(void) {
    begin(0);
    for (int i = 0; i < 6; i++) {
        dpl_conn_t *conn = checkout(ctx);

        REQUIRE(conn, "there is a connection");
        CHECK(i % 2 ? asked_by_itself(conn, i) : answered_on(conn, i), "a request is answered");
        dpl_conn_release(conn);
    }
    CHECK(answered(ctx, 7), "and so is the next");
    end();
}

static void reply_may_be_read_in_part_by_each(void) {
    dpl_conn_t *conn;
    char first;

    begin(0);
    conn = checkout(ctx);
    REQUIRE(conn && send_get(conn, 1) == DPL_SUCCESS, "a request is sent");
    CHECK(read_some(conn, &first, 1) == 1 && first == 'H', "the program reads a byte");
    CHECK(read_own_reply(conn, conn->read_buf, conn->read_buf_size, 1), "the rest, into the buffer");
    check_kept(conn, "it was read to its end");
    end();
}

static void several_requests_may_be_answered_in_a_row(void) {
    dpl_conn_t *conn;

    begin(0);
    conn = checkout(ctx);
    for (int i = 0; i < 3; i++)
        REQUIRE(conn && answered_on(conn, i), "a request is answered");
    check_kept(conn, "all are");
    dpl_conn_terminate(checkout(ctx));
    conn = checkout(ctx);
    for (int i = 0; i < 3; i++)
        REQUIRE(conn && asked_by_itself(conn, i), "one is answered, and read by the program");
    check_kept(conn, "all are");
    end();
}

static void nothing_asks_for_no_reply(void) {
    struct iovec empty[2] = {{NULL, 0}, {"", 0}};
    dpl_conn_t *conn;

    begin(0);
    conn = checkout(ctx);
    check_kept(conn, "nothing was written");
    conn = checkout(ctx);
    CHECK_STATUS(dpl_conn_writev_all(conn, NULL, 0, 5), DPL_SUCCESS, "no piece is written");
    CHECK_STATUS(dpl_conn_writev_all(conn, empty, 2, 5), DPL_SUCCESS, "two empty ones are");
    check_kept(conn, "nothing was written");
    CHECK(answered(ctx, 1), "a request is answered");
    CHECK_INT(server_accepted(server), 1, "there was one connection");
    end();
}

int main(void) {
    test_begin("exchange");
    RUN(late_reply_does_not_answer_the_next_request);
    RUN(nor_does_that_of_a_reused_connection);
    RUN(request_in_several_writes_is_one);
    RUN(half_a_request_is_one_too);
    RUN(reply_to_the_first_request_is_none_to_the_second);
    RUN(reply_to_an_earlier_user_is_none_to_a_later_one);
    RUN(program_cannot_say_that_a_reply_has_come);
    RUN(last_line_may_come_late);
    RUN(last_line_may_have_come);
    RUN(last_line_may_be_in_the_buffer);
    RUN(program_may_read_by_itself);
    RUN(readers_may_take_turns);
    RUN(reply_may_be_read_in_part_by_each);
    RUN(several_requests_may_be_answered_in_a_row);
    RUN(nothing_asks_for_no_reply);
    return test_end();
}
