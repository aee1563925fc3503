/* Where requests end, as the library finds from what is written: a connection on which a request was left in the middle is
 * of no use to others, since the server takes the next request for the rest of it. */
#include "support/dplx.h"
#include "support/ends.h"

enum { WAIT = 10000 };

#define PUT "PUT / HTTP/1.1\r\nContent-Length: 8\r\n"
#define CHUNKED "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

/* Writes a request of several parts on a connection, in a call each. */
static void write_parts(struct ends *ends, const char *const parts[]) {
    ends->conn = checkout(ends->ctx);
    REQUIRE(ends->conn, "a connection is made");
    accepted(ends);
    for (; *parts; parts++)
        REQUIRE(write_string(ends->conn, *parts, 5) == DPL_SUCCESS, "a part is written");
}

/* The ways to read a reply that has "hello" for its body. */
enum way { STEPS, AT_ONCE, BY_ITSELF, WAYS };

static void read_reply(struct ends *ends, enum way way, const char *what) {
    char bytes[100];
    struct reply reply;
    size_t n = 0;

    switch (way) {
    case STEPS:
        CHECK_INT(read_rest(ends->conn, bytes, sizeof bytes, 50), 0, "%s: its reply is read", what);
        CHECK_STR(bytes, "hello", "%s: which is", what);
        break;
    case AT_ONCE:
        reply = receive(ends, 1);
        CHECK_INT(reply.len, 5, "%s: its reply is read", what);
        forget(&reply);
        break;
    default:
        while (n < strlen(HELLO)) {
            ssize_t got = dplx_conn_read(ends->conn, bytes, sizeof bytes, WAIT);
            REQUIRE(got > 0, "%s: its reply is read", what);
            n += (size_t)got;
        }
        CHECK_STATUS(dplx_conn_reply_complete(ends->conn), DPL_SUCCESS, "%s: and complete", what);
    }
}

static void check_request(bool tls, bool kept, const char *const parts[], const char *what) {
    for (enum way way = STEPS; way < WAYS; way++) {
        struct ends ends = begin(tls, "");

        write_parts(&ends, parts);
        say(&ends, HELLO);
        read_reply(&ends, way, what);
        dpl_conn_release(ends.conn);
        CHECK_INT(ends.ctx->n_conn_fds, kept, "%s: the connection is %s", what, kept ? "kept" : "closed");
        CHECK_INT(hosts_available(ends.ctx), 1, "%s: nobody is blacklisted", what);
        end(&ends);
    }
}

#define CHECK_REQUEST(kept, what, ...) \
    (check_request(false, kept, (const char *const[]){__VA_ARGS__, NULL}, what), \
     check_request(true, kept, (const char *const[]){__VA_ARGS__, NULL}, what))

static void request_left_in_the_middle_ends_its_connection(void) {
    CHECK_REQUEST(false, "waits for 100", PUT "Expect: 100-continue\r\n\r\n");
    CHECK_REQUEST(false, "without a body", PUT "\r\n");
    CHECK_REQUEST(false, "with half a body", PUT "\r\n", "abcd");
    CHECK_REQUEST(false, "with half a body in the same call", PUT "\r\nabcdefg");
    CHECK_REQUEST(false, "without the last chunk", CHUNKED "1\r\na\r\n");
    CHECK_REQUEST(false, "without the last line", CHUNKED "1\r\na\r\n0\r\n");
    CHECK_REQUEST(false, "of unknown length", "PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "abc");
    CHECK_REQUEST(false, "with too long a body", PUT "\r\nabcdefgh!");
    CHECK_REQUEST(false, "with too long a body in calls", PUT "\r\nabcdefgh", "abcdefgh");
    CHECK_REQUEST(false, "in its head", PUT "Expect: 100-continue\r\n");
}

static void whole_request_keeps_its_connection(void) {
    CHECK_REQUEST(true, "with its body", PUT "\r\n", "abcd", "efgh");
    CHECK_REQUEST(true, "in one call", PUT "\r\nabcdefgh");
    CHECK_REQUEST(true, "in small parts", "PUT / HTTP/1.1\r", "\ncontent-length:", " 3\r\n\r", "\n", "abc");
    CHECK_REQUEST(true, "with chunks", CHUNKED, "1\r\na\r\n2;x\r", "\nbc\r\n0\r\n", "X: 1\r\n\r\n");
    CHECK_REQUEST(true, "with a blank line around it", "\r\n" PUT "\r\nabcdefgh\r\n");
    CHECK_REQUEST(true, "with an empty body", "PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
}

/* The next request on the same connection does not make up for it. */
static void request_after_one_left_in_the_middle(void) {
    struct ends ends = begin(false, "");

    write_parts(&ends, (const char *const[]){PUT "\r\n", NULL});
    say(&ends, HELLO);
    read_reply(&ends, STEPS, "the first");
    CHECK_STATUS(write_string(ends.conn, "HEAD / HTTP/1.1\r\n\r\n", 5), DPL_SUCCESS, "another is sent");
    say(&ends, OK "Content-Length: 5\r\n\r\n");
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "its reply is read,");
    CHECK_INT(dplx_reply_read(ends.conn, (char[1]){0}, 1, WAIT), 0, "as that to a HEAD");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "the connection is closed");
    end(&ends);
}

static void body_may_be_like_a_request(void) {
    struct ends ends = begin(false, "");

    write_parts(&ends, (const char *const[]){"PUT / HTTP/1.1\r\nContent-Length: 60\r\n\r\n", "HEAD / HTTP/1.1\r\n",
                                             "Expect: 100-continue\r\n\r\n", "0123456789abcdefghi", NULL});
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n" HELLO);
    read_reply(&ends, STEPS, "the body is like a request");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    end(&ends);
}

/* RFC 9110, section 10.1.1: a client does not wait for it for ever. */
static void continuation_may_come_late(void) {
    struct ends ends = begin(false, "");

    write_parts(&ends, (const char *const[]){PUT "Expect: 100-continue\r\n\r\n", NULL});
    CHECK_INT(dplx_reply_status(ends.conn, 0), DPL_ETIMEOUT, "it does not come");
    CHECK_STATUS(write_string(ends.conn, "abcdefgh", 5), DPL_SUCCESS, "the request goes on");
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n" HELLO);
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "then it is no reply");
    read_reply(&ends, STEPS, "that which follows is");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    end(&ends);
}

/* Who writes it at once does not wait for 100. Droplet's function tells of it, as Droplet's own does. */
static void whole_request_waits_for_nothing(void) {
    static const char *const WHOLE[] = {PUT "Expect: 100-continue\r\n\r\nabcdefgh", NULL};
    struct ends ends = begin(false, "");
    struct reply reply;

    write_parts(&ends, WHOLE);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n" HELLO);
    CHECK_INT(dplx_reply_status(ends.conn, WAIT), 200, "step by step, the reply follows");
    read_reply(&ends, STEPS, "written at once");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    write_parts(&ends, WHOLE);
    say(&ends, "HTTP/1.1 100 Continue\r\n\r\n" HELLO);
    reply = receive(&ends, 1);
    CHECK_INT(reply.len, 0, "100 is read first");
    forget(&reply);
    read_reply(&ends, AT_ONCE, "and then the reply");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 1, "the connection is kept");
    end(&ends);
}

/* Two requests are written before a reply is read. */
static void check_pipelined(const char *const parts[], bool reads_both) {
    struct ends ends = begin(false, "");

    write_parts(&ends, parts);
    say(&ends, reads_both ? HELLO HELLO : HELLO);
    read_reply(&ends, AT_ONCE, "the first reply");
    if (reads_both)
        read_reply(&ends, AT_ONCE, "the second");
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "nobody gets a reply that was left");
    end(&ends);
}

#define GET "GET / HTTP/1.1\r\n\r\n"

static void requests_may_be_written_in_a_row(void) {
    static const char *const IN_CALLS[] = {GET, GET, NULL}, *const AT_ONCE_BOTH[] = {GET GET, NULL};

    for (int reads_both = 0; reads_both < 2; reads_both++) {
        check_pipelined(IN_CALLS, reads_both);
        check_pipelined(AT_ONCE_BOTH, reads_both);
    }
}

int main(void) {
    test_begin("request_ends");
    RUN(request_left_in_the_middle_ends_its_connection);
    RUN(whole_request_keeps_its_connection);
    RUN(request_after_one_left_in_the_middle);
    RUN(body_may_be_like_a_request);
    RUN(continuation_may_come_late);
    RUN(whole_request_waits_for_nothing);
    RUN(requests_may_be_written_in_a_row);
    return test_end();
}
