/* Replies that do not say where they end, and replies whose end does not come. */
#include "support/ends.h"

/* The peer keeps the connection open, and its reply does not say where it ends. */
static void reply_without_an_end_may_have_no_body(void) {
    struct ends ends = begin(false, "read_timeout = 30");
    struct reply reply;
    double start;
    int closes = 0;

    request(&ends);
    say(&ends, OK "ETag: 1\r\n\r\n");
    start = seconds_now();
    CHECK_STATUS(dpl_read_http_reply(ends.conn, 1, NULL, NULL, NULL, &closes), DPL_SUCCESS,
                 "nobody wants its body");
    CHECK(in_time(start, 0.9), "so none is waited for");
    CHECK_INT(closes, 1, "but the connection is to be closed");
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "even released it is");
    say(&ends, OK "ETag: 1\r\n\r\n");
    logs_collect();
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "a body is wanted, and none comes");
    CHECK(in_time(start, 15), "that is not waited for as long as for a reply");
    CHECK_INT(logs_with("counts as empty"), 1, "the log says so");
    CHECK_INT(hosts_available(ends.ctx), 1, "nobody is to blame");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "the connection is closed");
    say(&ends, OK "ETag: 1\r\n\r\nhello");
    hang_up(&ends, true);
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "one comes");
    CHECK_STR(reply.data, "hello", "all of it");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

/* A chunked reply, of which the line after the last chunk comes before it is read, after that, or never. */
enum last_line { NEVER, BEFORE, AFTER };

static void check_last_line(struct ends *ends, enum last_line comes) {
    struct reply reply;
    char next;

    say(ends, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
    if (comes == BEFORE)
        say(ends, "\r\n");
    reply = receive(ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "the line is not waited for");
    CHECK_STR(reply.data, "hello", "the body is whole");
    CHECK_INT(reply.closes, 0, "the connection is not to be closed");
    forget(&reply);
    if (comes == AFTER) {
        say(ends, "\r\n");
        CHECK(EVENTUALLY(recv(ends->conn->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 1), "it comes");
    }
    dpl_conn_release(ends->conn);
}

static void check_last_lines(bool tls) {
    struct ends ends = begin(tls, "read_timeout = 30");
    double start = seconds_now();

    request(&ends);
    check_last_line(&ends, BEFORE);
    CHECK(!request(&ends), "the connection is used again if the line had come");
    if (!tls) {
        check_last_line(&ends, AFTER);
        CHECK(!request(&ends), "also if it comes before the release");
    }
    check_last_line(&ends, NEVER);
    CHECK(request(&ends), "but not otherwise");
    dpl_conn_terminate(ends.conn);
    CHECK(in_time(start, 20), "in time");
    end(&ends);
}

static void last_line_is_not_waited_for(void) {
    check_last_lines(false);
    check_last_lines(true);
}

int main(void) {
    test_begin("reply_ends");
    RUN(reply_without_an_end_may_have_no_body);
    RUN(last_line_is_not_waited_for);
    return test_end();
}
