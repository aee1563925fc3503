/*
 * An HTTP server that answers each request with its token and a body that follows from it, or does
 * one of the things that servers do when they are unwell. Lines on stdin say which, and how often:
 *
 *   good              answer all of them
 *   FAULT PERCENT     do that to so many of the requests (see the table)
 *   idle MS           close connections that were idle for so long
 *   close, listen     refuse connections, accept them again
 *
 * It ends with its stdin. Arguments: ADDRESS PORT SEED.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "soak/pattern.h"
#include "support/clock.h"

enum fault { HANG, RESET, CUT, BUSY, EARLY, SLOW, LATE, EXTRA, FAULTS };
static const char *const fault_names[FAULTS] = {
    [HANG] = "hang",   /* no answer */
    [RESET] = "reset", /* a reset in the middle of the reply */
    [CUT] = "cut",     /* the end of the connection in the middle of the reply */
    [BUSY] = "busy",   /* 503 */
    [EARLY] = "early", /* a connection that is closed after the reply, which did not say so */
    [SLOW] = "slow",   /* a reply in pieces */
    [LATE] = "late",   /* a reply after some seconds, when others may have the connection */
    [EXTRA] = "extra", /* more bytes than the reply has, right behind it */
};
static atomic_int percent[FAULTS];
static atomic_int idle_ms = 60000;

static struct sockaddr_in address = {.sin_family = AF_INET};
static uint64_t seed;

/* ---- one connection ---------------------------------------------------------------- */

enum { BUFFER = 32 * 1024, LONGEST_HANG = 15000, SLOW_PIECES = 8, MOST_SPREAD = 2400 };

struct connection {
    int fd;
    uint64_t random;
    size_t have; /* bytes in the buffer that were not used yet */
    char buffer[BUFFER + 1];
};

struct request {
    uint64_t token;
    size_t length; /* of the reply that it wants */
    size_t body;
    uint64_t body_sum;
    bool is_head;
    bool wants_end;
};

static bool send_all(struct connection *self, const void *data, size_t size) {
    const char *from = data;

    while (size > 0) {
        ssize_t n = send(self->fd, from, size, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

static bool receive(struct connection *self) {
    ssize_t n = recv(self->fd, self->buffer + self->have, BUFFER - self->have, 0);

    if (n <= 0)
        return false;
    self->have += (size_t)n;
    self->buffer[self->have] = '\0';
    return true;
}

static void use(struct connection *self, size_t n) {
    self->have -= n;
    memmove(self->buffer, self->buffer + n, self->have + 1);
}

static bool read_body(struct connection *self, struct request *request) {
    size_t left = request->body;

    request->body_sum = PATTERN_SUM_OF_NOTHING;
    for (;;) {
        size_t n = left < self->have ? left : self->have;

        request->body_sum = pattern_sum(request->body_sum, self->buffer, n);
        use(self, n);
        left -= n;
        if (left == 0)
            return true;
        if (!receive(self))
            return false;
    }
}

/* METHOD /TOKEN/LENGTH HTTP/1.1 */
static bool parse(const char *head, struct request *request) {
    const char *length = strcasestr(head, "\r\nContent-Length:");
    char method[8];

    *request = (struct request){.wants_end = strcasestr(head, "\r\nConnection: close") != NULL};
    if (sscanf(head, "%7s /%lx/%zu ", method, &request->token, &request->length) != 3)
        return false;
    request->is_head = strcmp(method, "HEAD") == 0;
    request->body = length ? strtoul(strchr(length, ':') + 1, NULL, 10) : 0;
    return true;
}

static bool read_request(struct connection *self, struct request *request) {
    struct timeval idle = {.tv_sec = idle_ms / 1000, .tv_usec = idle_ms % 1000 * 1000};
    char *end;
    bool good;

    setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    self->buffer[self->have] = '\0';
    while (!(end = strstr(self->buffer, "\r\n\r\n")))
        if (self->have == BUFFER || !receive(self))
            return false;
    end[2] = '\0';
    good = parse(self->buffer, request);
    use(self, (size_t)(end + 4 - self->buffer));
    return good && read_body(self, request);
}

static bool chance(struct connection *self, enum fault fault) {
    return random_below(&self->random, 100) < (uint64_t)percent[fault];
}

/* The beginning of the body, in chunks or not, spread over so much time: nobody waits long for a byte, and
 * the whole of it is in time as well. */
static bool send_body(struct connection *self, const struct request *request, bool chunked,
                      size_t until, int spread_ms) {
    size_t wanted = spread_ms ? request->length / SLOW_PIECES + 1 : BUFFER;
    size_t most = wanted < BUFFER ? wanted : BUFFER;
    int pause_ms = spread_ms / (int)(until / most + 1);
    char block[BUFFER];

    for (size_t at = 0; at < until;) {
        size_t n = until - at < most ? until - at : most;
        char head[32];

        pattern_fill(request->token, at, block, n);
        if (chunked && !send_all(self, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", n)))
            return false;
        if (!send_all(self, block, n) || (chunked && !send_all(self, "\r\n", 2)))
            return false;
        at += n;
        sleep_ms(pause_ms);
    }
    return !chunked || until < request->length || send_all(self, "0\r\n\r\n", 5);
}

static bool send_head(struct connection *self, const struct request *request, bool chunked,
                      bool busy) {
    char length[64] = "Transfer-Encoding: chunked";
    char head[512];
    int n;

    if (!chunked)
        snprintf(length, sizeof length, "Content-Length: %zu", busy ? 0 : request->length);
    n = snprintf(head, sizeof head,
                 "HTTP/1.1 %s\r\nX-Token: %016lx\r\nX-Length: %zu\r\nX-Sum: %016lx\r\n"
                 "X-Received: %zu-%016lx\r\n%s%s\r\n\r\n",
                 busy ? "503 Service Unavailable" : "200 OK", request->token,
                 busy ? 0 : request->length, pattern_sum_of(request->token, request->length),
                 request->body, request->body_sum, length,
                 request->wants_end ? "\r\nConnection: close" : "");
    return send_all(self, head, (size_t)n);
}

static void hang(struct connection *self) {
    struct timeval most = {.tv_sec = LONGEST_HANG / 1000};

    setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    while (receive(self))
        self->have = 0;
}

static void reset_at_close(struct connection *self) {
    struct linger none = {.l_onoff = 1};

    setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* Holds back what is sent, or lets it go out together: no client can know that bytes which come later
 * are no reply to its next request. */
static void hold(struct connection *self, int on) {
    setsockopt(self->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* Returns whether the connection serves another request. */
static bool answer(struct connection *self, const struct request *request) {
    bool resets = chance(self, RESET);
    bool cuts = resets || chance(self, CUT);
    bool extra = !cuts && chance(self, EXTRA);
    bool chunked = !request->is_head && random_below(&self->random, 100) < 30;
    size_t until = request->is_head ? 0 : request->length;

    if (chance(self, HANG)) {
        hang(self);
        return false;
    }
    if (chance(self, LATE))
        sleep_ms(500 + (int)random_below(&self->random, 4000));
    if (chance(self, BUSY))
        return send_head(self, request, false, true) && !request->wants_end;
    if (cuts)
        until = until ? random_below(&self->random, until) : 0;
    if (resets)
        reset_at_close(self);
    hold(self, extra);
    if (!send_head(self, request, chunked, false))
        return false;
    if (!send_body(self, request, chunked, until,
                   chance(self, SLOW) ? (int)random_below(&self->random, MOST_SPREAD) : 0))
        return false;
    if (extra)
        send_all(self, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
    hold(self, false);
    return !cuts && !request->wants_end && !chance(self, EARLY);
}

static void *serve(void *arg) {
    struct connection *self = arg;
    struct request request;
    int one = 1;

    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (read_request(self, &request) && answer(self, &request))
        ;
    close(self->fd);
    free(self);
    return NULL;
}

/* ---- all of them ------------------------------------------------------------------- */

static _Atomic uint64_t connections;
static atomic_int listener = -1;

static void begin_to_serve(int fd) {
    struct connection *self = malloc(sizeof *self);
    pthread_attr_t small;
    pthread_t thread;

    self->fd = fd;
    self->have = 0;
    self->random = seed + ++connections * 977;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &small, serve, self) != 0) {
        close(fd);
        free(self);
    }
    pthread_attr_destroy(&small);
}

static void *accept_all(void *arg) {
    int fd = *(int *)arg;
    int accepted;

    while ((accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        begin_to_serve(accepted);
    close(fd);
    free(arg);
    return NULL;
}

static void begin_to_listen(void) {
    int *fd = malloc(sizeof *fd);
    int one = 1;
    pthread_t thread;

    if (listener >= 0)
        return;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(*fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(*fd, 128) != 0) {
        perror("listen");
        exit(EXIT_FAILURE);
    }
    listener = *fd;
    pthread_create(&thread, NULL, accept_all, fd);
    pthread_detach(thread);
}

/* Ends accept4() in the other thread, which closes it. */
static void end_listening(void) {
    if (listener >= 0)
        shutdown(listener, SHUT_RDWR);
    listener = -1;
}

static void obey(const char *word, int number) {
    if (strcmp(word, "close") == 0)
        end_listening();
    if (strcmp(word, "listen") == 0)
        begin_to_listen();
    if (strcmp(word, "idle") == 0)
        idle_ms = number;
    for (int i = 0; i < FAULTS; i++)
        if (strcmp(word, "good") == 0)
            percent[i] = 0;
        else if (strcmp(word, fault_names[i]) == 0)
            percent[i] = number;
}

int main(int argc, char **argv) {
    char line[64];

    if (argc != 4 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
        fprintf(stderr, "usage: %s ADDRESS PORT SEED\n", argv[0]);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    address.sin_port = htons((in_port_t)atoi(argv[2]));
    seed = strtoul(argv[3], NULL, 10);
    begin_to_listen();
    while (fgets(line, sizeof line, stdin)) {
        char word[16] = "";
        int number = 0;

        sscanf(line, "%15s %d", word, &number);
        obey(word, number);
    }
    return 0;
}
