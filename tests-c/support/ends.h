/* Both ends of a connection, in the hands of the test. */
#ifndef ENDS_H
#define ENDS_H
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/peer.h"
#include "support/scratch.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HELLO OK "Content-Length: 5\r\n\r\nhello"

struct ends {
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
    struct peer *peer; /* with TLS */
    SSL *tls;
    int n_accepted;
    int listener; /* without */
    int fd;
};

static inline int listen_anywhere(char *name, size_t size) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    REQUIRE(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 9) == 0 &&
                getsockname(fd, (struct sockaddr *)&address, &len) == 0,
            "a port is listened to");
    snprintf(name, size, "127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

/* `more`: lines for the profile. */
static inline struct ends begin(bool tls, const char *more) {
    struct ends ends = {.listener = -1, .fd = -1};
    char name[80], profile[500];

    if (tls) {
        ends.peer = peer_start(server_tls_new(NULL));
        snprintf(name, sizeof name, "%s", peer_name(ends.peer));
    } else {
        ends.listener = listen_anywhere(name, sizeof name);
    }
    snprintf(profile, sizeof profile, "%shost = %s\n%s\n", tls ? "use_https = true\n" : "", name,
             more);
    if (tls)
        snprintf(strchr(profile, '\0'), 200, "ssl_ca_list = %s\n", authority_file());
    ends.ctx = context_from_text(profile);
    REQUIRE(ends.ctx, "a context is made");
    return ends;
}

/* Is a new connection there? Then it is the one that is spoken on. */
static inline bool accepted(struct ends *ends) {
    struct pollfd waiting = {.fd = ends->listener, .events = POLLIN};

    if (ends->peer) {
        if (peer_accepted(ends->peer) == ends->n_accepted)
            return false;
        ends->tls = peer_tls(ends->peer, ends->n_accepted++);
        return true;
    }
    if (poll(&waiting, 1, 0) != 1)
        return false;
    if (ends->fd >= 0)
        close(ends->fd);
    ends->fd = accept(ends->listener, NULL, NULL);
    ends->n_accepted++;
    return true;
}

/* Checks out a connection and sends a request on it. Is it a new one? */
static inline bool request(struct ends *ends) {
    char text[100];
    bool is_new;

    ends->conn = checkout(ends->ctx);
    REQUIRE(ends->conn, "a connection is made");
    REQUIRE(write_string(ends->conn, "GET / HTTP/1.1\r\n\r\n", 5) == DPL_SUCCESS,
            "a request is sent");
    is_new = accepted(ends);
    REQUIRE((ends->peer ? SSL_read(ends->tls, text, sizeof text)
                        : read(ends->fd, text, sizeof text)) == 18,
            "it is read");
    return is_new;
}

static inline void say_bytes(struct ends *ends, const char *bytes, size_t len) {
    REQUIRE((ends->peer ? SSL_write(ends->tls, bytes, (int)len)
                        : (int)send(ends->fd, bytes, len, MSG_NOSIGNAL)) == (int)len,
            "a reply is sent");
}

static inline void say(struct ends *ends, const char *text) {
    say_bytes(ends, text, strlen(text));
}

/* `politely`: with TLS's close_notify. */
static inline void hang_up(struct ends *ends, bool politely) {
    if (ends->peer && politely)
        SSL_shutdown(ends->tls);
    if (ends->peer)
        peer_close(ends->peer, ends->n_accepted - 1);
    else
        shutdown(ends->fd, SHUT_RDWR);
}

static inline void end(struct ends *ends) {
    dpl_ctx_free(ends->ctx);
    if (ends->peer) {
        peer_stop(ends->peer);
        return;
    }
    close(ends->listener);
    if (ends->fd >= 0)
        close(ends->fd);
}



struct reply {
    dpl_status_t status;
    char *data;
    unsigned int len;
    dpl_dict_t *headers;
    int closes;
};

static inline struct reply receive(struct ends *ends, int expect_data) {
    struct reply reply = {.closes = -1};

    reply.status = dpl_read_http_reply(ends->conn, expect_data, &reply.data, &reply.len,
                                       &reply.headers, &reply.closes);
    return reply;
}

static inline void forget(struct reply *reply) {
    free(reply->data);
    if (reply->headers)
        dpl_dict_free(reply->headers);
}

#endif
