/* Replies that are read step by step, by dplx_reply_status(), dplx_reply_field() and dplx_reply_read(). */
#include <pthread.h>

#include "support/dplx.h"
#include "support/ends.h"

enum { WAIT = 10000, KEPT = -1 };

static void check_body(struct ends *ends, const char *expected, size_t piece, const char *what) {
    char body[1000];

    CHECK_INT(read_rest(ends->conn, body, sizeof body, piece), 0, "%s: it ends", what);
    CHECK_STR(body, expected, "%s: the body", what);
    CHECK_INT(dplx_reply_read(ends->conn, body, 1, 0), 0, "%s: it stays at its end", what);
}

static void check_closed(dpl_ctx_t *ctx, int closing, const char *what) {
    dplx_pool_stats_t stats = {.size = sizeof stats};

    CHECK_STATUS(dplx_pool_stats(ctx, &stats), DPL_SUCCESS, "%s: statistics", what);
    CHECK_INT(stats.closed[closing], 1, "%s: it is closed as %s", what, dplx_closing_text(closing));
}

static void check_reply(bool tls, const char *text, bool hangs_up, int status, const char *body,
                        int closing, const char *what) {
    for (size_t piece = 1; piece <= 100; piece += 33) {
        struct ends ends = begin(tls, "");

        request(&ends);
        say(&ends, text);
        if (hangs_up)
            hang_up(&ends, true);
        if (piece == 1)
            CHECK_INT(dplx_reply_status(ends.conn, WAIT), status, "%s: status", what);
        check_body(&ends, body, piece, what);
        CHECK_INT(dplx_reply_status(ends.conn, 0), status, "%s: status", what);
        dpl_conn_release(ends.conn);
        if (closing != KEPT)
            check_closed(ends.ctx, closing, what);
        CHECK_INT(request(&ends), closing != KEPT, "%s: the next request has a new connection", what);
        dpl_conn_terminate(ends.conn);
        end(&ends);
    }
}

static void check_replies(bool tls) {
    check_reply(tls, HELLO, false, 200, "hello", KEPT, "a length");
    check_reply(tls, "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", KEPT, "no content");
    check_reply(tls, "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater", false, 503, "later", KEPT,
                "busy");
    check_reply(tls,
                OK "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n",
                false, 200, "hello!", KEPT, "chunks");
    check_reply(tls, OK "\r\nhello", true, 200, "hello", DPLX_CLOSED_USED_UP, "until the end");
    check_reply(tls, OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello",
                DPLX_CLOSED_USED_UP, "close");
    check_reply(tls, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello",
                DPLX_CLOSED_USED_UP, "HTTP/1.0");
    check_reply(tls, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" HELLO, false, 200, "hello", KEPT,
                "a hint before it");
    check_reply(tls, HELLO "HTTP/1.1 404", false, 200, "hello", DPLX_CLOSED_INCOMPLETE, "bytes behind it");
}

static void replies_are_read_to_their_end(void) {
    check_replies(false);
}

static void replies_are_read_to_their_end_over_tls(void) {
    check_replies(true);
}

static void fields_are_found_by_name(void) {
    struct ends ends = begin(false, "");
    const char *cookie;

    request(&ends);
    CHECK(!dplx_reply_field(ends.conn, "ETag", 0), "the head was not read");
    say(&ends, OK "ETag: \"1\"\r\nSet-Cookie: a=1, x\r\nset-cookie:  b=2 \r\nEmpty:\r\n"
                  "Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "a head is read");
    CHECK_STR(dplx_reply_field(ends.conn, "etag", 0), "\"1\"", "a field, in any case");
    cookie = dplx_reply_field(ends.conn, "SET-COOKIE", 1);
    CHECK_STR(cookie, "b=2", "the second of two");
    CHECK_STR(dplx_reply_field(ends.conn, "Set-Cookie", 0), "a=1, x", "the first");
    CHECK(dplx_reply_field(ends.conn, "set-cookie", 1) == cookie, "the second again has the same address");
    CHECK(!dplx_reply_field(ends.conn, "Set-Cookie", 2), "there is no third");
    CHECK_STR(dplx_reply_field(ends.conn, "Empty", 0), "", "an empty one");
    CHECK_STR(dplx_reply_field(ends.conn, "Content-Length", 0), "5", "the length is one too");
    CHECK_STR(dplx_reply_field(ends.conn, "Connection", 0), "keep-alive", "and so is this");
    CHECK(!dplx_reply_field(ends.conn, "Location", 0), "another is not there");
    check_body(&ends, "hello", 2, "the body");
    CHECK_STR(cookie, "b=2", "the text stays");
    CHECK_STATUS(dplx_conn_reply_complete(ends.conn), DPL_SUCCESS, "that it is complete may be said");
    CHECK_STATUS(dplx_conn_write(ends.conn, "", 0, WAIT), DPL_SUCCESS, "an empty write is no request");
    CHECK_STR(cookie, "b=2", "and the text still stays");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "and the status");
    dpl_conn_release(ends.conn);
    CHECK(!request(&ends), "the connection is used again");
    CHECK(!dplx_reply_field(ends.conn, "ETag", 0), "without the fields of before");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void head_has_no_body_in_its_reply(void) {
    struct ends ends = begin(false, "");

    ends.conn = checkout(ends.ctx);
    accepted(&ends);
    write_string(ends.conn, "HEAD / HTTP/1.1\r\n\r\n", 5);
    say(&ends, OK "Content-Length: 5\r\n\r\n");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "a head is read");
    CHECK_STR(dplx_reply_field(ends.conn, "Content-Length", 0), "5", "with the length");
    check_body(&ends, "", 1, "nothing follows");
    write_string(ends.conn, "GET / HTTP/1.1\r\n\r\n", 5);
    say(&ends, HELLO);
    check_body(&ends, "hello", 3, "after a GET it does");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    end(&ends);
}

static void timeout_may_be_followed_by_more(void) {
    static const char text[] = OK "ETag: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    struct ends ends = begin(false, "");
    char body[20] = "";
    size_t len = 0;
    int timeouts = 0;

    request(&ends);
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "nothing has come");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        ssize_t n;

        say_bytes(&ends, text + i, 1);
        REQUIRE(poll(&(struct pollfd){.fd = ends.conn->fd, .events = POLLIN}, 1, WAIT) == 1, "it comes");
        n = dplx_reply_read(ends.conn, body + len, 10, 0);
        if (n > 0)
            len += (size_t)n;
        timeouts += n == DPL_ETIMEOUT;
        CHECK(n >= 0 || n == DPL_ETIMEOUT, "after byte %zu the rest may come", i);
        CHECK(n != 0 || i >= sizeof text - 3, "byte %zu is not the end", i);
    }
    /* After each byte of the head, and of the lines that begin the chunks. */
    CHECK(timeouts > 50, "%d calls time out", timeouts);
    CHECK_STR(body, "hello", "byte by byte all of it is read");
    CHECK_INT(dplx_reply_status(ends.conn, 0), 200, "with its status");
    say(&ends, "\r\n");
    REQUIRE(poll(&(struct pollfd){.fd = ends.conn->fd, .events = POLLIN}, 1, WAIT) == 1, "it ends");
    dpl_conn_release(ends.conn);
    CHECK(!request(&ends), "the connection is used again");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

struct drip {
    int fd;
    int bytes;
};

/* One byte of a head in 50 ms, for longer than anybody waits. */
static void *drip(void *what) {
    struct drip *drip = what;

    for (int i = 0; i < drip->bytes && send(drip->fd, i ? "x" : OK "X: ", i ? 1 : 20, MSG_NOSIGNAL) > 0; i++)
        sleep_ms(50);
    return NULL;
}

static void time_is_that_of_the_whole_call(void) {
    struct ends ends = begin(false, "");
    struct drip dripping;
    pthread_t dripper;
    double start;

    request(&ends);
    dripping = (struct drip){ends.fd, 100};
    pthread_create(&dripper, NULL, drip, &dripping);
    start = seconds_now();
    CHECK_INT(dplx_reply_status(ends.conn, 300), DPL_ETIMEOUT, "a head that drips is late");
    CHECK(seconds_now() - start > 0.29 && in_time(start, 3), "in time");
    dpl_conn_terminate(ends.conn);
    pthread_join(dripper, NULL);
    end(&ends);
}

static void next_request_waits_for_the_end(void) {
    struct ends ends = begin(false, "");

    request(&ends);
    say(&ends, OK "Content-Length: 40\r\n\r\n" HELLO);
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "a head is read, and not the body");
    CHECK_STATUS(write_string(ends.conn, "GET / HTTP/1.1\r\n\r\n", 5), DPL_FAILURE,
                 "what is left is no reply to another request");
    CHECK(strstr(dplx_last_error(), "was not read to its end"), "the text says so");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "nor to that of anybody else");
    end(&ends);
}

static struct ends begin_with_a_connection(void) {
    struct ends ends = begin(false, "");

    ends.conn = checkout(ends.ctx);
    accepted(&ends);
    return ends;
}

static void check_answer_and_end(struct ends *ends) {
    say(ends, HELLO);
    check_body(ends, "hello", 9, "its reply");
    dpl_conn_release(ends->conn);
    CHECK_INT(ends->ctx->n_conn_fds, 1, "the connection is kept");
    end(ends);
}

static void reply_may_be_asked_for_before_its_request(void) {
    struct ends ends = begin_with_a_connection();

    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "there is none");
    CHECK_STATUS(write_string(ends.conn, "GET / HTTP/1.1\r\n\r\n", 5), DPL_SUCCESS, "a request");
    check_answer_and_end(&ends);
}

static void request_may_go_on_while_a_reply_is_asked_for(void) {
    struct ends ends = begin_with_a_connection();

    write_string(ends.conn, "PUT / HTTP/1.1\r\nContent-Length: 8\r\n\r\n", 5);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "there is no reply yet");
        CHECK_STATUS(write_string(ends.conn, "ab", 5), DPL_SUCCESS, "the request goes on");
    }
    check_answer_and_end(&ends);
}

static void continuation_comes_before_the_reply(void) {
    struct ends ends = begin_with_a_connection();

    write_string(ends.conn, "PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", 5);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 100, "it may go on");
    CHECK_INT(dplx_reply_status(ends.conn, 0), 100, "as often as it asks");
    write_string(ends.conn, "data", 5);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n" HELLO);
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "the reply");
    check_body(&ends, "hello", 9, "its body");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    end(&ends);
}

/* Whoever says that a reply is complete, or reads it in another way, does not know how far it was read. */
static void reply_under_way_is_read_on_in_the_same_way(void) {
    struct ends ends = begin(false, "");
    struct reply other;

    request(&ends);
    say(&ends, OK "Content-Length: 40\r\n\r\n" HELLO);
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "a head is read, and not the body");
    CHECK_STATUS(dplx_conn_reply_complete(ends.conn), DPL_FAILURE, "the reply is not complete");
    CHECK(strstr(dplx_last_error(), "was not read to its end"), "the text says so");
    other = receive(&ends, 1);
    CHECK_STATUS(other.status, DPL_FAILURE, "nor is its body another reply");
    CHECK(strstr(dplx_last_error(), "step by step"), "the text says so");
    forget(&other);
    CHECK_INT(hosts_available(ends.ctx), 1, "nobody is blacklisted");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "nobody gets the rest");
    end(&ends);
}

static void reply_that_was_not_begun_may_be_read_in_another_way(void) {
    struct ends ends = begin(false, "");
    struct reply other;
    char bytes[100];

    request(&ends);
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "nothing has come");
    say(&ends, HELLO);
    other = receive(&ends, 1);
    CHECK_STATUS(other.status, DPL_SUCCESS, "another function reads the reply");
    CHECK_INT(other.len, 5, "with its body");
    forget(&other);
    CHECK_STATUS(write_string(ends.conn, "GET / HTTP/1.1\r\n\r\n", 5), DPL_SUCCESS, "the next request");
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "nothing has come");
    say(&ends, HELLO);
    CHECK_INT(dplx_conn_read(ends.conn, bytes, sizeof bytes, WAIT), strlen(HELLO), "the program reads");
    CHECK_STATUS(dplx_conn_reply_complete(ends.conn), DPL_SUCCESS, "and knows the end");
    CHECK_STATUS(write_string(ends.conn, "GET / HTTP/1.1\r\n\r\n", 5), DPL_SUCCESS, "one more");
    say(&ends, HELLO);
    check_body(&ends, "hello", 9, "step by step again");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    end(&ends);
}

static void fields_of_the_head_belong_to_the_program(void) {
    struct ends ends = begin(false, "");
    dpl_conn_t *first, *conn;

    request(&ends);
    first = ends.conn;
    request(&ends);
    conn = ends.conn;
    conn->next = first; /* a list of the program's own */
    say(&ends, OK "Content-Length: 5\r\nETag: 1\r\n\r\nhello");
    CHECK_INT(dplx_reply_status(conn, WAIT), 200, "a head is read");
    CHECK(conn->next == first, "the list stays as it is");
    CHECK_STR(dplx_reply_field(conn, "ETag", 0), "1", "a field is found");
    conn->next = NULL;
    check_body(&ends, "hello", 9, "the reply goes on");
    conn->next = first;
    CHECK_STATUS(write_string(conn, "GET / HTTP/1.1\r\n\r\n", 5), DPL_SUCCESS, "so does the connection");
    dpl_conn_terminate(conn);
    dpl_conn_terminate(first);
    end(&ends);
}

static void null_is_told_of(void) {
    struct ends ends = begin(false, "");
    char byte;

    request(&ends);
    CHECK_INT(dplx_reply_status(NULL, 0), DPL_EINVAL, "no connection");
    CHECK_INT(dplx_reply_read(NULL, &byte, 1, 0), DPL_EINVAL, "no connection");
    CHECK_INT(dplx_reply_read(ends.conn, NULL, 1, 0), DPL_EINVAL, "no buffer");
    CHECK_INT(dplx_reply_read(ends.conn, &byte, 0, 0), DPL_EINVAL, "no room");
    CHECK(!dplx_reply_field(NULL, "a", 0) && !dplx_reply_field(ends.conn, NULL, 0), "nothing");
    CHECK_INT(dplx_reply_read(ends.conn, NULL, 1, 0), DPL_EINVAL, "another call fails");
    CHECK(!strstr(dplx_last_error(), "the name is NULL"), "its text is its own: %s", dplx_last_error());
    dpl_conn_release(ends.conn);
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_EINVAL, "given back");
    end(&ends);
}

int main(void) {
    test_begin("dplx_reply");
    RUN(replies_are_read_to_their_end);
    RUN(replies_are_read_to_their_end_over_tls);
    RUN(fields_are_found_by_name);
    RUN(head_has_no_body_in_its_reply);
    RUN(timeout_may_be_followed_by_more);
    RUN(time_is_that_of_the_whole_call);
    RUN(next_request_waits_for_the_end);
    RUN(reply_may_be_asked_for_before_its_request);
    RUN(request_may_go_on_while_a_reply_is_asked_for);
    RUN(continuation_comes_before_the_reply);
    RUN(reply_under_way_is_read_on_in_the_same_way);
    RUN(reply_that_was_not_begun_may_be_read_in_another_way);
    RUN(fields_of_the_head_belong_to_the_program);
    RUN(null_is_told_of);
    return test_end();
}
