#include "support/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/clock.h"

enum { TICK_MS = 20 };

struct request {
    long number;
    size_t body;
};

void reset_at_close(int fd) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* ---- bytes ------------------------------------------------------------------------- */

static bool await_bytes(struct link *link) {
    const struct server_options *options = &link->server->options;
    struct pollfd wait = {.fd = link->fd, .events = POLLIN};
    bool closes = options->idle_ms > 0 && link->requests > 0;
    double since = seconds_now();

    if (link->tls && SSL_pending(link->tls) > 0)
        return true;
    if (poll(&wait, 1, closes && !options->notices_late ? options->idle_ms : -1) <= 0)
        return false;
    return !closes || (seconds_now() - since) * 1000 < options->idle_ms;
}

/* Reads no byte; false when either side has ended the connection. */
static bool wait_a_tick(struct link *link) {
    struct pollfd wait = {.fd = link->fd, .events = POLLRDHUP};

    return poll(&wait, 1, TICK_MS) == 0;
}

static size_t read_some(struct link *link, char *to, size_t size) {
    ssize_t n;

    if (!await_bytes(link))
        return 0;
    pthread_mutex_lock(&link->io);
    n = link->tls ? SSL_read(link->tls, to, (int)size) : recv(link->fd, to, size, 0);
    pthread_mutex_unlock(&link->io);
    if (n <= 0)
        return 0;
    link->server->bytes += n;
    return (size_t)n;
}

static bool write_plain(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool link_write(struct link *link, const char *bytes, size_t len) {
    bool done;

    pthread_mutex_lock(&link->io);
    done =
        link->tls ? SSL_write(link->tls, bytes, (int)len) > 0 : write_plain(link->fd, bytes, len);
    pthread_mutex_unlock(&link->io);
    return done;
}

/* ---- requests ---------------------------------------------------------------------- */

static void forget(struct link *link, size_t len) {
    link->len -= len;
    memmove(link->buffer, link->buffer + len, link->len);
}

static bool read_more(struct link *link) {
    size_t n = read_some(link, link->buffer + link->len, sizeof link->buffer - 1 - link->len);

    link->len += n;
    link->buffer[link->len] = '\0';
    return n > 0;
}

static long header(const char *head, const char *name) {
    const char *at = strcasestr(head, name);

    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static bool read_head(struct link *link, struct request *request) {
    char *end;

    while ((end = strstr(link->buffer, "\r\n\r\n")) == NULL)
        if (!read_more(link))
            return false;
    end[2] = '\0';
    request->number = header(link->buffer, "\nX-Number:");
    request->body = (size_t)header(link->buffer, "\nContent-Length:");
    forget(link, (size_t)(end + 4 - link->buffer));
    return true;
}

static bool read_request(struct link *link, struct request *request) {
    size_t body;

    if (!read_head(link, request))
        return false;
    for (body = request->body; body > link->len;) {
        body -= link->len;
        link->len = 0;
        if (!read_more(link))
            return false;
    }
    forget(link, body);
    link->buffer[link->len] = '\0';
    link->server->requests++;
    return true;
}

/* ---- replies ----------------------------------------------------------------------- */

struct message {
    size_t len;
    char text[1024];
};

static void add_reply(struct message *message, const struct link *link, const char *status,
                      long number) {
    const char *stated = link->server->options.keep_alive;
    int id = link->server->options.id;
    char body[64];
    int len = snprintf(body, sizeof body, "%d %ld\n", id, number);

    len = snprintf(message->text + message->len, sizeof message->text - message->len,
                   "HTTP/1.1 %s\r\nServer: loopback\r\nX-Server: %d\r\nX-Number: %ld\r\n"
                   "%s%s%sContent-Length: %d\r\n\r\n%s",
                   status, id, number, stated ? "Keep-Alive: " : "", stated ? stated : "",
                   stated ? "\r\n" : "", len, body);
    message->len += (size_t)len;
}

static void add_text(struct message *message, const char *text) {
    strcpy(message->text + message->len, text);
    message->len += strlen(text);
}

/* In one piece: what is said too much must be there when the reply is. */
static bool send_message(struct link *link, const struct message *message) {
    sleep_ms(link->server->options.think_ms);
    return link_write(link, message->text, message->len);
}

static bool reply(struct link *link, const char *status, long number) {
    struct message message = {0};

    add_reply(&message, link, status, number);
    return send_message(link, &message);
}

/* So many fields that a reserve for want of memory does not have them. */
static bool reply_at_length(struct link *link) {
    static const char body[AT_LENGTH];
    char head[80000];
    size_t length = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\n");

    for (int i = 0; i < 600; i++)
        length += (size_t)sprintf(head + length, "X-Field-%d: %085d\r\n", i, i);
    length += (size_t)sprintf(head + length, "X-Last: 1\r\nContent-Length: %d\r\n\r\n", AT_LENGTH);
    return link_write(link, head, length) && link_write(link, body, sizeof body);
}

static bool reply_and_more(struct link *link, long number, const char *more) {
    struct message message = {0};

    add_reply(&message, link, "200 OK", number);
    add_text(&message, more);
    return send_message(link, &message);
}

static bool reply_twice(struct link *link, long number) {
    struct message message = {0};

    add_reply(&message, link, "200 OK", number);
    add_reply(&message, link, "200 OK", number);
    return send_message(link, &message);
}

/* Unasked bytes come a little later, when the client may have gone on. */
static bool reply_and_408(struct link *link, long number) {
    bool done = reply(link, "200 OK", number);

    sleep_ms((int)(number % 3));
    link->server->troubles_begun++;
    send_unasked(link);
    link->server->troubles_over++;
    return done;
}

void send_unasked(struct link *link) {
    static const char bytes[] = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";

    link_write(link, bytes, sizeof bytes - 1);
}

static bool reply_half(struct link *link) {
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all";

    link_write(link, half, sizeof half - 1);
    reset_at_close(link->fd);
    return false;
}

static bool refuse_body(struct link *link) {
    struct request request;

    if (read_head(link, &request))
        reply(link, "413 Content Too Large", request.number);
    reset_at_close(link->fd);
    return false;
}

/* Behaviour of a lying server towards a request: the same in every run. */
static enum behaviour lie_about(enum behaviour behaviour, long number) {
    static const enum behaviour grave[] = {ANSWER_500, ANSWER_HALF, HANG_UP, LIE};
    unsigned long lot = (unsigned long)number * 2654435761U % 4294967296U >> 16;

    if (lot % 1000 < 20)
        return lot % 2 ? ANSWER_TWICE : ANSWER_TOO_LONG;
    return behaviour == LIE && lot % 1000 < 24 ? grave[lot % 4] : ANSWER;
}

static bool behave(struct link *link, enum behaviour behaviour, long number) {
    switch (behaviour) {
    case ANSWER_AND_MORE:
        return reply_and_more(link, number, "HTTP/1.1 200 surplus\r\n");
    case ANSWER_TOO_LONG:
        return reply_and_more(link, number, "so long");
    case ANSWER_TWICE:
        return reply_twice(link, number);
    case ANSWER_AT_LENGTH:
        return reply_at_length(link);
    case ANSWER_500:
        return reply(link, "500 Internal Server Error", number);
    case ANSWER_HALF:
        return reply_half(link);
    case HANG_UP:
        return false;
    case LIE:
        return reply_and_408(link, number);
    default:
        return reply(link, "200 OK", number);
    }
}

static bool is_grave(enum behaviour behaviour) {
    return behaviour == ANSWER_500 || behaviour == ANSWER_HALF || behaviour == HANG_UP;
}

static bool answer(struct link *link, const struct request *request) {
    enum behaviour behaviour = link->server->behaviour;
    int busy_every = link->server->options.busy_every;

    if (busy_every && ++link->server->answers % busy_every == 0)
        return reply(link, "503 Slow Down", request->number);
    if (behaviour == FIB || behaviour == LIE)
        behaviour = lie_about(behaviour, request->number);
    if (link->server->options.deeds)
        link->server->options.deeds[request->number] = is_grave(behaviour) ? ILL_SERVED : SERVED;
    return behave(link, behaviour, request->number);
}

static bool converse(struct link *link) {
    int limit = link->server->options.requests_per_connection;
    struct request request;

    if (!read_request(link, &request) || !answer(link, &request))
        return false;
    return ++link->requests != limit;
}

/* FNV-1a. */
uint64_t digest_more(uint64_t digest, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        digest = (digest ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    return digest;
}

/* ---- the thread -------------------------------------------------------------------- */

static bool discard(struct link *link, size_t size, int pause_ms) {
    size_t n = read_some(link, link->buffer, size < sizeof link->buffer ? size : LINK_BUFFER);

    link->server->digest = digest_more(link->server->digest, link->buffer, n);
    sleep_ms(pause_ms);
    return n > 0;
}

/* One turn of the conversation; false at its end. */
static bool take_turn(struct link *link) {
    const struct server_options *options = &link->server->options;

    /* The behaviour counts at the time when there is something to read. */
    if (link->len == 0 && !await_bytes(link))
        return false;
    switch (link->server->behaviour) {
    case SILENT:
        return wait_a_tick(link);
    case DISCARD:
        return discard(link, LINK_BUFFER, 0);
    case REFUSE_BODY:
        return refuse_body(link);
    case DRAIN:
        return discard(link, (size_t)options->drain_bytes, options->drain_pause_ms);
    default:
        return converse(link);
    }
}

static bool shake_hands(struct link *link) {
    bool done;

    while (link->server->behaviour == SILENT)
        if (!wait_a_tick(link))
            return false;
    pthread_mutex_lock(&link->io);
    done = !link->tls || SSL_accept(link->tls) == 1;
    pthread_mutex_unlock(&link->io);
    return done;
}

static void end(struct link *link) {
    pthread_mutex_lock(&link->server->lock);
    close(link->fd);
    link->fd = -1;
    link->server->open--;
    pthread_mutex_unlock(&link->server->lock);
}

void *link_run(void *arg) {
    struct link *link = arg;

    if (shake_hands(link))
        while (take_turn(link))
            ;
    end(link);
    return NULL;
}
