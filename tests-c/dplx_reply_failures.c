/* Replies that fail while they are read step by step, and those to requests that failed. */
#include <sys/socket.h>

#include "support/dplx.h"
#include "support/ends.h"

enum { WAIT = 10000 };

/* After a failure nothing more is read, and the connection is closed. */
static void check_broken(const char *text, const char *fault) {
    struct ends ends = begin(false, "");
    char body[100];

    request(&ends);
    say(&ends, text);
    hang_up(&ends, true);
    CHECK_INT(read_rest(ends.conn, body, sizeof body, 50), DPL_FAILURE, "%s: a failure", fault);
    CHECK(strstr(dplx_last_error(), fault), "%s: the text says so", fault);
    CHECK_INT(dplx_reply_read(ends.conn, body, 1, WAIT), DPL_FAILURE, "%s: it stays one", fault);
    CHECK_INT(hosts_available(ends.ctx), 1, "%s: nobody is blacklisted", fault);
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "%s: the connection is closed", fault);
    end(&ends);
}

static void broken_replies_are_failures(void) {
    check_broken(OK "Content-Length: 27400\r\n\r\nhello", "closed the connection");
    check_broken(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed the connection");
    check_broken(OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", "a chunk");
    check_broken("SSH-2.0-OpenSSH_9.2\r\n\r\n", "head cannot be read");
    check_broken("", "closed the connection");
}

static void reset_is_no_end_of_a_body(void) {
    struct ends ends = begin(false, "");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    char body[100];

    request(&ends);
    say(&ends, OK "\r\nhello");
    CHECK_INT(dplx_reply_read(ends.conn, body, sizeof body, WAIT), 5, "the body begins");
    REQUIRE(connect(ends.fd, &nobody, sizeof nobody) == 0, "the server resets the connection");
    CHECK_INT(dplx_reply_read(ends.conn, body, sizeof body, WAIT), DPL_FAILURE, "a failure");
    CHECK_INT(dplx_reply_read(ends.conn, body, sizeof body, WAIT), DPL_FAILURE, "it stays one");
    dpl_conn_release(ends.conn);
    end(&ends);
}

/* The server reads no more, and says why after a while. */
static void reason_of_a_rejected_request_may_be_late(void) {
    enum { SIZE = 64 << 20 };
    struct ends ends = begin(false, "");
    char *block = calloc(1, SIZE), body[100];

    ends.conn = checkout(ends.ctx);
    accepted(&ends);
    write_string(ends.conn, "PUT / HTTP/1.1\r\nContent-Length: 67108864\r\n\r\n", 5);
    CHECK(dplx_conn_write(ends.conn, block, SIZE, 100) < 0, "a write fails");
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "there is no reply yet");
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "nor at the next call");
    say(&ends, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 413, "then it comes");
    CHECK_INT(dplx_reply_read(ends.conn, body, 2, WAIT), 2, "with its body,");
    CHECK_INT(dplx_reply_read(ends.conn, body + 2, 98, WAIT), 1, "in pieces,");
    CHECK_INT(dplx_reply_read(ends.conn, body, 100, WAIT), 0, "and its end");
    CHECK(!memcmp(body, "big", 3), "all of it");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "it is closed");
    free(block);
    end(&ends);
}

/* The write takes the error that says that the connection was reset. */
static void reset_after_a_failed_write_is_no_end_either(void) {
    struct ends ends = begin(false, "");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    char body[100];

    request(&ends);
    say(&ends, "HTTP/1.1 413 Too Large\r\n\r\nhalf");
    REQUIRE(connect(ends.fd, &nobody, sizeof nobody) == 0, "the server resets the connection");
    CHECK(EVENTUALLY(dplx_conn_write(ends.conn, "x", 1, WAIT) < 0), "a write fails");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 413, "the reply is there");
    CHECK_INT(dplx_reply_read(ends.conn, body, sizeof body, WAIT), 4, "and a part of its body");
    CHECK_INT(dplx_reply_read(ends.conn, body, sizeof body, WAIT), DPL_FAILURE, "of which nobody knows the end");
    dpl_conn_release(ends.conn);
    end(&ends);
}

int main(void) {
    test_begin("dplx_reply_failures");
    RUN(broken_replies_are_failures);
    RUN(reset_is_no_end_of_a_body);
    RUN(reset_after_a_failed_write_is_no_end_either);
    RUN(reason_of_a_rejected_request_may_be_late);
    return test_end();
}
