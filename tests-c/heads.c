/* Heads of replies: what is in them besides fields, and how long they may be. */
#include <pthread.h>

#include "support/ends.h"

/* Heads of replies as real servers send them: some lines are no fields, others are fields with odd names and values, which
 * metadata may have. */
static void odd_lines_are_passed_over(void) {
    static const struct {
        const char *line, *key, *value;
    } lines[] = {
        {"X Foo: 1", "x foo", "1"},
        {"x-amz-meta-a/b: 1", "x-amz-meta-a/b", "1"},
        {"x-amz-meta-(A): 1", "x-amz-meta-(a)", "1"},
        {"x-amz-meta-\xe9: \xe9", "x-amz-meta-\xe9", "\xe9"},
        {"PHP Warning:  fopen(): no such file", "php warning", "fopen(): no such file"},
        {"X: a\x01\x7f", "x", "a\x01\x7f"},
        {"X: a\rb", "x", "a b"},
        {"X:", "x", ""},
        {"<!DOCTYPE html>", NULL, NULL},
        {": empty", NULL, NULL},
        {"no colon", NULL, NULL},
        {" X: 1", NULL, NULL},
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct ends ends = begin(false, "");
        struct reply reply;

        request(&ends);
        say(&ends, OK);
        say(&ends, lines[i].line);
        say(&ends, "\r\nETag: 1\r\nContent-Length: 5\r\n\r\nhello");
        reply = receive(&ends, 1);
        CHECK_STATUS(reply.status, DPL_SUCCESS, "line %zu: a reply", i);
        CHECK_STR(reply.data ? reply.data : "", "hello", "line %zu: its data", i);
        REQUIRE(reply.headers, "with fields");
        CHECK_INT(dpl_dict_count(reply.headers), lines[i].key ? 2 : 1, "line %zu: their number", i);
        CHECK_STR(dpl_dict_get_value(reply.headers, "etag"), "1", "line %zu: a sound one", i);
        if (lines[i].key)
            CHECK_STR(dpl_dict_get_value(reply.headers, lines[i].key), lines[i].value,
                      "line %zu: an odd one", i);
        CHECK_INT(hosts_available(ends.ctx), 1, "line %zu: nobody is blacklisted", i);
        forget(&reply);
        dpl_conn_release(ends.conn);
        CHECK(!request(&ends), "line %zu: the connection is used again", i);
        dpl_conn_terminate(ends.conn);
        end(&ends);
    }
}

struct repetition {
    int fd;
    const char *text;
};

/* Sends the same again and again, for as long as the connection lasts. */
static void *repeat(void *what) {
    struct repetition *repetition = what;
    size_t len = strlen(repetition->text);
    char many[1 << 16];

    for (size_t at = 0; at < sizeof many; at++)
        many[at] = repetition->text[at % len];
    while (send(repetition->fd, many, sizeof many - sizeof many % len, MSG_NOSIGNAL) > 0)
        ;
    return NULL;
}

static void what_precedes_a_reply_has_an_end(void) {
    static const char *const texts[] = {"HTTP/1.1 100 Continue\r\n\r\n",
                                        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "\r\n",
                                        "\n"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ends ends = begin(false, "");
        struct reply reply;
        struct repetition repetition;
        pthread_t sender;

        request(&ends);
        repetition = (struct repetition){ends.fd, texts[i]};
        REQUIRE(pthread_create(&sender, NULL, repeat, &repetition) == 0, "a thread sends");
        logs_collect();
        reply = receive(&ends, 1);
        CHECK_STATUS(reply.status, DPL_FAILURE, "text %zu: no reply", i);
        CHECK_INT(logs_with("all that comes before it, is longer than"), 1,
                  "text %zu: the log says why", i);
        forget(&reply);
        dpl_conn_release(ends.conn);
        hang_up(&ends, false);
        pthread_join(sender, NULL);
        end(&ends);
    }
}

static void *say_all(void *what) {
    struct repetition *all = what;
    size_t at = 0, len = strlen(all->text);
    ssize_t sent;

    while (at < len && (sent = send(all->fd, all->text + at, len - at, MSG_NOSIGNAL)) > 0)
        at += (size_t)sent;
    return NULL;
}

/* A hundred times as many names took ten thousand times as long. */
static void fields_may_be_many(void) {
    enum { MANY = 150000 };
    struct ends ends = begin(false, "header_size = 200000");
    char *head = malloc(MANY * 20), *at = head;
    struct reply reply;
    pthread_t sender;
    double start;

    REQUIRE(head, "there is memory");
    at += sprintf(at, OK "Content-Length: 0\r\n");
    for (int i = 0; i < MANY; i++)
        at += sprintf(at, "x%x: %d\r\n", i, i);
    sprintf(at, "\r\n");
    request(&ends);
    start = seconds_now();
    REQUIRE(pthread_create(&sender, NULL, say_all, &(struct repetition){ends.fd, head}) == 0,
            "a thread sends");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "a reply");
    REQUIRE(reply.headers, "with fields");
    CHECK_INT(dpl_dict_count(reply.headers), MANY, "all of them");
    CHECK_STR(dpl_dict_get_value(reply.headers, "x186a0"), "100000", "with their values");
    CHECK(in_time(start, 5), "in time");
    forget(&reply);
    pthread_join(sender, NULL);
    dpl_conn_release(ends.conn);
    free(head);
    end(&ends);
}

/* A reply with one long line. */
static struct reply receive_line(struct ends *ends, size_t length) {
    char *text = malloc(length + 100);
    struct reply reply;
    pthread_t sender;

    REQUIRE(text, "there is memory");
    strcpy(text, OK "Content-Length: 0\r\nX: ");
    memset(strchr(text, '\0'), 'x', length - 5);
    strcpy(strchr(text, 'X') + length - 2, "\r\n\r\n");
    request(ends);
    REQUIRE(pthread_create(&sender, NULL, say_all, &(struct repetition){ends->fd, text}) == 0,
            "a thread sends");
    logs_collect();
    reply = receive(ends, 1);
    shutdown(ends->conn->fd, SHUT_RD);
    dpl_conn_terminate(ends->conn);
    pthread_join(sender, NULL);
    free(text);
    return reply;
}

/* The original reads lines of 102,400 bytes, whatever header_size says. */
static void long_lines_are_refused(void) {
    enum { LONGEST = 200 * 512 };
    struct ends ends = begin(false, "header_size = 1000");
    struct reply reply = receive_line(&ends, LONGEST);

    CHECK_STATUS(reply.status, DPL_SUCCESS, "a reply");
    CHECK_INT((long)strlen(dpl_dict_get_value(reply.headers, "x")), LONGEST - 5, "with the line");
    forget(&reply);
    reply = receive_line(&ends, LONGEST + 1);
    CHECK_STATUS(reply.status, DPL_FAILURE, "a longer one is none");
    CHECK_INT(logs_with("header_size"), 1, "the log names the variable");
    forget(&reply);
    end(&ends);
    ends = begin(false, "header_size = 110000");
    reply = receive_line(&ends, LONGEST + 1);
    CHECK_STATUS(reply.status, DPL_SUCCESS, "unless the variable allows it");
    forget(&reply);
    end(&ends);
}

/* The original reads these as well. */
static void doubtful_lengths_are_passed_over(void) {
    static const struct {
        const char *text, *data;
        int expect_data;
        bool closes;
    } replies[] = {
        {OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "", 0, false},
        {OK "Content-Length: 99999999999999999999\r\n\r\n", "", 0, false},
        {OK "Content-Length 5\r\n\r\n", "", 0, true},
        {"HTTP/1.1 204 No Content\r\nContent-Length:\r\n\r\n", "", 1, false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: abc\r\n\r\n", "", 1, false},
        {OK "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi", "hi", 1, true},
        {OK "Transfer-Encoding: \"chunked\"\r\nContent-Length: 2\r\n\r\nhi", "hi", 1, true},
        {OK "Content-Length 9\r\nContent-Length: 2\r\n\r\nhi", "hi", 1, true},
        {OK "\"Content-Length\": 9\r\nContent-Length: 2\r\n\r\nhi", "hi", 1, true},
        {OK "Content-Length:\r\nContent-Length: 2\r\n\r\nhi", "hi", 1, false},
        {OK "X: a\x01\r\n Content-Length is nice\r\nContent-Length: 2\r\n\r\nhi", "hi", 1, true},
    };

    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct ends ends = begin(false, "");
        struct reply reply;
        double start;

        request(&ends);
        say(&ends, replies[i].text);
        logs_collect();
        start = seconds_now();
        reply = receive(&ends, replies[i].expect_data);
        CHECK(in_time(start, 5), "reply %zu: nothing is waited for", i);
        /* dpl_map_http_status() makes a failure of 304. */
        CHECK_INT(logs_with("dpl_read_http_reply"), 0, "reply %zu: a reply", i);
        CHECK_STR(reply.data ? reply.data : "", replies[i].data, "reply %zu: its data", i);
        CHECK_INT(hosts_available(ends.ctx), 1, "reply %zu: nobody is blacklisted", i);
        forget(&reply);
        dpl_conn_release(ends.conn);
        CHECK_INT(request(&ends), replies[i].closes, "reply %zu: the next has a new connection", i);
        dpl_conn_terminate(ends.conn);
        end(&ends);
    }
}

int main(void) {
    test_begin("heads");
    RUN(odd_lines_are_passed_over);
    RUN(doubtful_lengths_are_passed_over);
    RUN(what_precedes_a_reply_has_an_end);
    RUN(fields_may_be_many);
    RUN(long_lines_are_refused);
    return test_end();
}
