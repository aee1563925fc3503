/* Replies of every kind, over http, https and files: what they mean. */
#include <sys/resource.h>

#include "support/ends.h"
#include "support/memory.h"

/* A reply on a connection of its own. */
static void check_reply(bool tls, const char *text, bool hangs_up, dpl_status_t status,
                        const char *data, bool closes, const char *what) {
    struct ends ends = begin(tls, "");
    struct reply reply;

    request(&ends);
    say(&ends, text);
    if (hangs_up)
        hang_up(&ends, true);
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, status, "%s: status", what);
    CHECK_INT(reply.len, (long)strlen(data), "%s: length", what);
    CHECK_STR(reply.data ? reply.data : "", data, "%s: data", what);
    CHECK_INT(reply.closes, closes, "%s: the end of the connection", what);
    CHECK(reply.headers, "%s: fields", what);
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK_INT(request(&ends), closes, "%s: the next request has a new connection", what);
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void check_replies(bool tls) {
    check_reply(tls, HELLO, false, DPL_SUCCESS, "hello", false, "a length");
    check_reply(tls, OK "Content-Length: 0\r\n\r\n", false, DPL_SUCCESS, "", false, "no length");
    check_reply(
        tls, OK "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n",
        false, DPL_SUCCESS, "hello!", false, "chunks");
    check_reply(tls, OK "\r\nhello", true, DPL_SUCCESS, "hello", true, "until the end");
    check_reply(tls, OK "Connection: x, Close\r\nContent-Length: 5\r\n\r\nhello", false,
                DPL_SUCCESS, "hello", true, "close");
    check_reply(tls, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, DPL_SUCCESS,
                "hello", true, "HTTP/1.0");
    check_reply(tls, "HTTP/1.1 204 No Content\r\n\r\n", false, DPL_SUCCESS, "", false,
                "no content");
    check_reply(tls, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nwhere", false, DPL_ENOENT,
                "where", false, "not found");
    check_reply(tls, "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", false,
                DPL_EREDIRECT, "", false, "elsewhere");
    check_reply(tls,
                OK "Transfer-Encoding: chunked\r\n\r\n000000000000000000005\r\nhello\r\n"
                   "000000000000000000000\r\n\r\n",
                false, DPL_SUCCESS, "hello", false, "chunk sizes of 21 digits");
    check_reply(tls, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" HELLO, false, DPL_SUCCESS,
                "hello", false, "a hint before it");
}

static void replies_end_where_they_say(void) {
    check_replies(false);
}

static void replies_end_where_they_say_over_tls(void) {
    check_replies(true);
}

/* A reply that is none: the host is blacklisted, and the log says why. */
static void check_broken(bool tls, const char *text, bool politely, const char *fault) {
    struct ends ends = begin(tls, "");
    struct reply reply;

    request(&ends);
    say(&ends, text);
    hang_up(&ends, politely);
    logs_collect();
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "%s: no reply", fault);
    CHECK_INT(reply.closes, 1, "%s: the connection is to be closed", fault);
    CHECK_INT(logs_with(fault), 1, "%s: the log says so", fault);
    CHECK_INT(hosts_available(ends.ctx), 0, "%s: the host is blacklisted", fault);
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK_INT(ends.ctx->n_conn_fds, 0, "%s: even released it is closed", fault);
    end(&ends);
}

static void broken_replies_are_told_of(void) {
    check_broken(false, "SSH-2.0-OpenSSH_9.2\r\n\r\n", true, "head cannot be read");
    check_broken(false, OK "Content-Length: 5\x01\r\n\r\nhello", true, "Content-Length");
    check_broken(false, OK "Transfer-Encoding/: chunked\r\n\r\n0\r\n\r\n", true,
                 "head cannot be read");
    check_broken(false, OK "Content-Length: -5\r\n\r\nhello", true, "Content-Length");
    check_broken(false, OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", true,
                 "Content-Length");
    check_broken(false, OK "Transfer-Encoding: chunked\r\n\r\n\r\nhello", true, "a chunk");
    check_broken(false, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", true,
                 "closed the connection");
    check_broken(false, OK "Content-Length: 9\r\n\r\nhello", true, "closed the connection");
    check_broken(false, "HTTP/1.1 200", true, "closed the connection");
    check_broken(true, OK "Content-Length: 9\r\n\r\nhello", true, "closed the connection");
    check_broken(true, OK "\r\nhello", false, "reply from");
    check_broken(true, OK "Content-Length: 9\r\n\r\nhello", false, "reply from");
    check_broken(true, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", false, "reply from");
    check_broken(true, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", true,
                 "closed the connection");
}

/* Contexts of Bareos wait three times as long, as its own reader does. */
static double longest_read(void) {
#ifdef DROPLET_LAYOUT_BAREOS
    return 3;
#else
    return 1;
#endif
}

static void check_silence(bool tls) {
    struct ends ends = begin(tls, "read_timeout = 1");
    struct reply reply;
    double start;

    request(&ends);
    say(&ends, OK "Content-Length: 9\r\n\r\nhello");
    start = seconds_now();
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "no reply");
    CHECK_INT(reply.len, 5, "what came is there");
    CHECK_STATUS(ends.conn->status, DPL_ETIMEOUT, "the connection says why");
    CHECK(seconds_now() - start > longest_read() - 0.1 && in_time(start, 5 + longest_read()), "in time");
    CHECK_INT(hosts_available(ends.ctx), 0, "the host is blacklisted");
    forget(&reply);
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void silence_ends_in_time(void) {
    check_silence(false);
    check_silence(true);
}

/* ---- ways of reading --------------------------------------------------------------- */

static dpl_status_t note_field(void *text, const char *name, const char *value) {
    sprintf(strchr(text, '\0'), "%s=%s ", name, value);
    return strcmp(name, "Refuse") ? DPL_SUCCESS : DPL_ELIMIT;
}

static dpl_status_t note_data(void *text, char *data, unsigned int len) {
    data[0] = '*'; /* It may be changed. */
    sprintf(strchr(text, '\0'), "%.*s", (int)len, data);
    return DPL_SUCCESS;
}

static void functions_get_what_comes(void) {
    struct ends ends = begin(false, "read_buf_size = 50");
    char text[500] = "";
    int status = 0;

    request(&ends);
    say(&ends, OK "ETag: \"1\"\r\nX:\r\nContent-Length: 5\r\n\r\nhello");
    CHECK_STATUS(dpl_read_http_reply_buffered(ends.conn, 1, &status, note_field, note_data, text),
                 DPL_SUCCESS, "a reply is read");
    CHECK_INT(status, 200, "its status");
    CHECK_STR(text, "ETag=\"1\" X= *ello", "fields and data, in order");
    dpl_conn_release(ends.conn);
    CHECK(!request(&ends), "the connection is used again");
    say(&ends, OK "Refuse: 1\r\nContent-Length: 5\r\n\r\nhello");
    CHECK_STATUS(dpl_read_http_reply_buffered(ends.conn, 1, &status, note_field, note_data, text),
                 DPL_FAILURE, "a function refuses");
    CHECK_INT(hosts_available(ends.ctx), 1, "that is not the host's fault");
    dpl_conn_release(ends.conn);
    CHECK(request(&ends), "but the connection is closed");
    say(&ends, HELLO);
    CHECK_STATUS(dpl_read_http_reply_buffered(ends.conn, 1, NULL, NULL, NULL, NULL), DPL_SUCCESS,
                 "nobody needs to look");
    dpl_conn_release(ends.conn);
    end(&ends);
}

struct relay {
    struct ends *other;
    int answered;
};

/* A request on another connection, and a look at the list of hosts, for each piece. */
static dpl_status_t relay(void *what, char *data, unsigned int len) {
    struct relay *relay = what;
    struct reply reply;

    (void)data, (void)len;
    request(relay->other);
    say(relay->other, HELLO);
    reply = receive(relay->other, 1);
    relay->answered += reply.status == DPL_SUCCESS && reply.len == 5;
    forget(&reply);
    dpl_conn_release(relay->other->conn);
    return hosts_available(relay->other->ctx) == 1 ? DPL_SUCCESS : DPL_FAILURE;
}

static void functions_may_call_the_library(void) {
    struct ends ends = begin(false, "read_buf_size = 40"), other = begin(false, "");
    struct relay relaying = {.other = &other};
    int status = 0;

    request(&ends);
    say(&ends, OK "Content-Length: 100\r\n\r\n"
                  "01234567890123456789012345678901234567890123456789"
                  "01234567890123456789012345678901234567890123456789");
    CHECK_STATUS(dpl_read_http_reply_buffered(ends.conn, 1, &status, NULL, relay, &relaying),
                 DPL_SUCCESS, "a reply is passed on");
    CHECK_INT(status, 200, "its status");
    CHECK(relaying.answered > 2, "piece by piece, with a request each");
    CHECK_INT(other.n_accepted, 1, "all on one connection");
    dpl_conn_release(ends.conn);
    CHECK(!request(&ends), "and this one is used again");
    dpl_conn_terminate(ends.conn);
    end(&ends);
    end(&other);
}

static void data_go_into_the_callers_buffer(void) {
    struct ends ends = begin(false, "");
    char room[4] = "...", *data = room;
    unsigned int len = 3;

    request(&ends);
    say(&ends, HELLO);
    CHECK_STATUS(dpl_read_http_reply_ext(ends.conn, 1, 1, &data, &len, NULL, NULL), DPL_SUCCESS,
                 "a reply");
    CHECK(data == room && len == 3, "its buffer is full");
    CHECK_STR(room, "hel", "with the beginning");
    dpl_conn_release(ends.conn);
    CHECK(!request(&ends), "the rest was read too");
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void replies_are_read_from_files(void) {
    struct ends ends = begin(false, "");
    char path[300];
    struct reply reply;
    FILE *file;

    snprintf(path, sizeof path, "%s/reply", scratch_dir());
    file = fopen(path, "w");
    REQUIRE(file && fputs(HELLO, file) >= 0 && fclose(file) == 0, "a file is written");
    ends.conn = dpl_conn_open_file(ends.ctx, open(path, O_RDONLY | O_CLOEXEC));
    REQUIRE(ends.conn, "it is opened");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "a reply is read");
    CHECK_STR(reply.data, "hello", "its data");
    forget(&reply);
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "there is no other");
    CHECK_INT(hosts_available(ends.ctx), 1, "no host is to blame");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

static pid_t send_aside(const struct ends *ends, const char *text, size_t size) {
    pid_t sender = fork();

    if (sender == 0) {
        for (size_t at = 0; at < size;) {
            ssize_t sent = send(ends->fd, text + at, size - at, MSG_NOSIGNAL);

            if (sent < 0)
                break;
            at += (size_t)sent;
        }
        _exit(0);
    }
    return sender;
}

/* `more`: the memory that may be had for it, if that is limited. */
static void check_large_body(size_t size, size_t more) {
    struct ends ends = begin(false, "read_timeout = 10");
    char *body = malloc(size), head[100];
    struct rlimit before, little;
    struct reply reply;
    pid_t sender;

    for (size_t at = 0; at < size; at++)
        body[at] = (char)('a' + at * 7 % 26);
    request(&ends);
    snprintf(head, sizeof head, OK "Content-Length: %zu\r\n\r\n", size);
    say(&ends, head);
    sender = send_aside(&ends, body, size);
    getrlimit(RLIMIT_AS, &before);
    little = before;
    if (more)
        little.rlim_cur = (rlim_t)memory_in_use() + more;
    setrlimit(RLIMIT_AS, &little);
    reply = receive(&ends, 1);
    setrlimit(RLIMIT_AS, &before);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "a reply is read");
    CHECK(reply.len == size && !memcmp(reply.data, body, size), "all of it");
    forget(&reply);
    free(body);
    dpl_conn_release(ends.conn);
    waitpid(sender, NULL, 0);
    end(&ends);
}

static void large_bodies_come_whole(void) {
    check_large_body(3 << 20, 0);
}

static void bodies_take_no_more_memory_than_there_is(void) {
    if (machine_is_slow())
        check_skip("a slower machine (valgrind) has memory of its own");
    else
        check_large_body(40 << 20, 44 << 20);
}

static void statuses_of_http_are_statuses_of_droplet(void) {
    static const struct {
        int http;
        dpl_status_t status;
    } all[] = {
        {100, DPL_SUCCESS},   {200, DPL_SUCCESS},       {201, DPL_SUCCESS},  {204, DPL_SUCCESS},
        {206, DPL_SUCCESS},   {301, DPL_EREDIRECT},     {302, DPL_EREDIRECT}, {403, DPL_EPERM},
        {404, DPL_ENOENT},    {409, DPL_ECONFLICT},     {412, DPL_EPRECOND},  {416, DPL_ERANGEUNAVAIL},
        {202, DPL_FAILURE},   {303, DPL_FAILURE},       {400, DPL_FAILURE},   {500, DPL_FAILURE},
        {0, DPL_FAILURE},     {-1, DPL_FAILURE},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK_STATUS(dpl_map_http_status(all[i].http), all[i].status, "of %d", all[i].http);
}

static void null_is_told_of(void) {
    struct ends ends = begin(false, "");
    char *data = NULL;
    unsigned int len = 3;
    dpl_dict_t *headers = dpl_dict_new(1);

    request(&ends);
    CHECK_STATUS(dpl_read_http_reply(NULL, 1, &data, &len, NULL, NULL), DPL_EINVAL,
                 "no connection");
    CHECK_STATUS(dpl_read_http_reply_buffered(NULL, 1, NULL, NULL, NULL, NULL), DPL_EINVAL,
                 "no connection");
    CHECK_STATUS(dpl_read_http_reply_ext(ends.conn, 1, 1, &data, &len, NULL, NULL), DPL_EINVAL,
                 "no buffer");
    CHECK_STATUS(dpl_read_http_reply_ext(ends.conn, 1, 1, NULL, NULL, NULL, NULL), DPL_EINVAL,
                 "no buffer");
    say(&ends, HELLO);
    CHECK_STATUS(dpl_read_http_reply(ends.conn, 1, NULL, NULL, NULL, NULL), DPL_SUCCESS,
                 "nobody wants it");
    dpl_conn_release(ends.conn);
    CHECK_STATUS(dpl_read_http_reply(ends.conn, 1, NULL, NULL, NULL, NULL), DPL_EINVAL,
                 "given back");
    CHECK_INT(dpl_connection_close(NULL), 1, "no fields");
    CHECK_INT(dpl_connection_close(headers), 0, "no such field");
    CHECK(!dpl_location(NULL) && !dpl_location(headers), "nor this");
    dpl_dict_free(headers);
    end(&ends);
}

int main(void) {
    test_begin("replies");
    RUN(replies_end_where_they_say);
    RUN(replies_end_where_they_say_over_tls);
    RUN(broken_replies_are_told_of);
    RUN(silence_ends_in_time);
    RUN(functions_get_what_comes);
    RUN(functions_may_call_the_library);
    RUN(data_go_into_the_callers_buffer);
    RUN(replies_are_read_from_files);
    RUN(large_bodies_come_whole);
    RUN(bodies_take_no_more_memory_than_there_is);
    RUN(statuses_of_http_are_statuses_of_droplet);
    RUN(null_is_told_of);
    return test_end();
}
