/* Replies over http and https: what becomes of their connection, and of the next request on it. */
#include "support/dplx.h"
#include "support/ends.h"

/* Nothing came on a connection that was idle: its peer had closed it. */
static void check_stale(bool tls) {
    struct ends ends = begin(tls, "");
    struct reply reply;

    request(&ends);
    say(&ends, HELLO);
    reply = receive(&ends, 1);
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK(!request(&ends), "the connection is used again");
    hang_up(&ends, true);
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "no reply");
    CHECK_INT(hosts_available(ends.ctx), 1, "the host is not to blame");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "the connection is closed");
    CHECK(request(&ends), "there is another");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void stale_connections_are_nobodys_fault(void) {
    check_stale(false);
    check_stale(true);
}

static void faults_of_this_side_blame_nobody(void) {
    struct ends ends = begin(false, "");
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct reply reply;

    request(&ends);
    dup2(other, ends.conn->fd); /* No socket. */
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "no reply");
    CHECK_INT(hosts_available(ends.ctx), 1, "the host is not to blame");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "the connection is closed");
    close(other);
    end(&ends);
}

static void errors_of_the_server_blacklist_it(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    request(&ends);
    say(&ends, "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "the status");
    CHECK_STR(reply.data, "later", "what it says");
    CHECK_INT(hosts_available(ends.ctx), 0, "the host is blacklisted");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

static void what_is_left_unread_is_not_mistaken(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    request(&ends);
    say(&ends, HELLO);
    reply = receive(&ends, 0);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "a head is read");
    CHECK_STR(dpl_dict_get_value(reply.headers, "content-length"), "5", "with its length");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "a body that was not read closes the connection");
    say(&ends, HELLO "HTTP/1.1 404");
    reply = receive(&ends, 1);
    CHECK_STR(reply.data, "hello", "a reply is read");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "so do bytes that nobody asked for");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void write_request(struct ends *ends) {
    REQUIRE(write_string(ends->conn, "GET / HTTP/1.1\r\n\r\n", 5) == DPL_SUCCESS,
            "a request is written");
}

static void check_next(struct ends *ends, const char *expected, const char *what) {
    struct reply reply = receive(ends, 1);

    CHECK_STATUS(reply.status, DPL_SUCCESS, "%s: a reply", what);
    CHECK_STR(reply.data ? reply.data : "", expected, "%s: the right one", what);
    forget(&reply);
}

#define OTHER "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nother"
#define GOOD OK "Content-Length: 4\r\n\r\ngood"

/* A connection that is kept in hand: what follows a reply does not answer the next request. */
static void check_surplus(bool tls) {
    struct ends ends = begin(tls, "read_timeout = 5");
    struct pollfd readable;

    request(&ends);
    say(&ends, HELLO OTHER);
    check_next(&ends, "hello", "a reply with another behind it");
    write_request(&ends);
    say(&ends, GOOD);
    check_next(&ends, "good", "the other is not it");
    say(&ends, OTHER OTHER OTHER); /* Too late to have been read with the reply. */
    readable = (struct pollfd){.fd = ends.conn->fd, .events = POLLIN};
    REQUIRE(poll(&readable, 1, 5000) == 1, "it comes");
    write_request(&ends);
    say(&ends, HELLO);
    check_next(&ends, "hello", "nor is a late one");
    say(&ends, OTHER);
    readable.revents = 0;
    REQUIRE(poll(&readable, 1, 5000) == 1, "it comes");
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "nor does anybody else get it");
    say(&ends, HELLO "x");
    check_next(&ends, "hello", "a reply with a byte behind it");
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "closes the connection");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void surplus_answers_no_other_request(void) {
    check_surplus(false);
}

static void surplus_answers_no_other_request_over_tls(void) {
    check_surplus(true);
}

static dpl_status_t refuse_field(void *unused, const char *name, const char *value) {
    (void)unused, (void)name, (void)value;
    return DPL_FAILURE;
}

static void failed_reply_is_the_last(void) {
    struct ends ends = begin(false, "");

    request(&ends);
    say(&ends, OK "X: 1\r\nContent-Length: 99\r\n\r\n" OTHER);
    CHECK_STATUS(dpl_read_http_reply_buffered(ends.conn, 1, NULL, refuse_field, NULL, NULL),
                 DPL_FAILURE, "the program does not want it");
    CHECK_STATUS(write_string(ends.conn, "GET / HTTP/1.1\r\n\r\n", 5), DPL_FAILURE,
                 "the rest answers no other request");
    CHECK_INT(hosts_available(ends.ctx), 1, "nobody is to blame");
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "there is another connection");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void other_words_are_left_to_the_program(void) {
    struct ends ends = begin(false, "");
    struct reply reply;
    char text[10] = "";

    request(&ends);
    say(&ends, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nfirst");
    reply = receive(&ends, 1);
    forget(&reply);
    CHECK_INT(reply.closes, 1, "nobody else gets the connection");
    CHECK_INT(dplx_conn_read(ends.conn, text, sizeof text, 5000), 5, "what came with it is read");
    CHECK_STR(text, "first", "all of it");
    CHECK_STATUS(write_string(ends.conn, "word", 5), DPL_SUCCESS, "and answered");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "it is closed");
    end(&ends);
}

static void request_that_was_continued_is_not_over(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    ends.conn = checkout(ends.ctx);
    accepted(&ends);
    write_string(ends.conn, "PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                 5);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n" OTHER); /* It does not wait for the data. */
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "it may go on");
    forget(&reply);
    write_string(ends.conn, "data", 5);
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_ENOENT, "the reply that came with it");
    forget(&reply);
    dpl_conn_release(ends.conn);
    ends.conn = checkout(ends.ctx);
    CHECK(!accepted(&ends), "the connection is used again");
    write_string(ends.conn, "PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                 5);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "it may go on");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "given back before the reply it is closed");
    end(&ends);
}

static void continuation_is_told_only_to_who_waits(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    ends.conn = checkout(ends.ctx);
    accepted(&ends);
    write_string(ends.conn, "PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                 5);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "it may go on");
    CHECK(!reply.data, "there is no data yet");
    CHECK_INT(reply.closes, 0, "nor the end");
    forget(&reply);
    write_string(ends.conn, "data", 5);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n");
    say(&ends, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_ENOENT, "the reply");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

int main(void) {
    test_begin("exchanges");
    RUN(stale_connections_are_nobodys_fault);
    RUN(faults_of_this_side_blame_nobody);
    RUN(errors_of_the_server_blacklist_it);
    RUN(what_is_left_unread_is_not_mistaken);
    RUN(continuation_is_told_only_to_who_waits);
    RUN(surplus_answers_no_other_request);
    RUN(surplus_answers_no_other_request_over_tls);
    RUN(failed_reply_is_the_last);
    RUN(other_words_are_left_to_the_program);
    RUN(request_that_was_continued_is_not_over);
    return test_end();
}
