#include "support/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/client.h"
#include "support/clock.h"
#include "support/link.h"

enum { LINKS = 256, BACKLOG = 64 };

struct peer_link {
    int fd; /* -1 once closed */
    SSL *tls;
    enum { OPENING, OPEN, FAILED } state;
};

struct peer {
    void (*treat)(int fd);
    char name[80];
    char port[8];
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    SSL_CTX *tls;
    int n_links;
    struct peer_link links[LINKS];
};

static _Noreturn void give_up(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

/* ---- taking connections ------------------------------------------------------------ */

/* Nobody waits for ever for what the other end fails to do. */
static void bound_waits(int fd) {
    struct timeval bound = {.tv_sec = (time_t)patience(10)};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
}

static struct peer_link *add_peer_link(struct peer *peer, int fd) {
    struct peer_link *link;

    bound_waits(fd);
    pthread_mutex_lock(&peer->lock);
    if (peer->n_links == LINKS)
        give_up("too many connections to a peer");
    link = &peer->links[peer->n_links++];
    link->fd = fd;
    if (!peer->treat) {
        link->tls = SSL_new(peer->tls);
        SSL_set_fd(link->tls, fd);
    }
    pthread_mutex_unlock(&peer->lock);
    return link;
}

static void end_link(struct peer *peer, struct peer_link *link, bool open) {
    pthread_mutex_lock(&peer->lock);
    link->state = open ? OPEN : FAILED;
    if (!open && link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
    pthread_mutex_unlock(&peer->lock);
}

static void *take_connections(void *arg) {
    struct peer *peer = arg;
    int fd;

    while ((fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno != EINVAL) {
        struct peer_link *link;

        if (fd < 0)
            continue;
        link = add_peer_link(peer, fd);
        if (peer->treat)
            peer->treat(fd);
        end_link(peer, link, !peer->treat && SSL_accept(link->tls) == 1);
    }
    return NULL;
}

/* ---- peers ------------------------------------------------------------------------- */

static void listen_at(struct peer *peer, const char *address) {
    bool v6 = strchr(address, ':') != NULL;
    struct sockaddr_in v4_address = {.sin_family = AF_INET};
    struct sockaddr_in6 v6_address = {.sin6_family = AF_INET6};
    struct sockaddr *any = v6 ? (struct sockaddr *)&v6_address : (struct sockaddr *)&v4_address;
    socklen_t len = v6 ? sizeof v6_address : sizeof v4_address;

    inet_pton(AF_INET, address, &v4_address.sin_addr);
    inet_pton(AF_INET6, address, &v6_address.sin6_addr);
    peer->listener = socket(any->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(peer->listener, any, len) != 0 || listen(peer->listener, BACKLOG) != 0 ||
        getsockname(peer->listener, any, &len) != 0)
        give_up("a peer's address");
    snprintf(peer->port, sizeof peer->port, "%d",
             ntohs(v6 ? v6_address.sin6_port : v4_address.sin_port));
    snprintf(peer->name, sizeof peer->name, v6 ? "[%s]:%s" : "%s:%s", address, peer->port);
}

/* The thread takes no signals, SIGPIPE among them. */
static void begin(struct peer *peer) {
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&peer->thread, NULL, take_connections, peer);
    if (errno)
        give_up("a peer's thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct peer *peer_start_at(const char *address, SSL_CTX *tls, void (*treat)(int fd)) {
    struct peer *peer = calloc(1, sizeof *peer);

    peer->tls = tls;
    peer->treat = treat;
    pthread_mutex_init(&peer->lock, NULL);
    listen_at(peer, address);
    begin(peer);
    return peer;
}

struct peer *peer_start(SSL_CTX *tls) {
    return peer_start_at("127.0.0.1", tls, NULL);
}

void peer_become(struct peer *peer, SSL_CTX *tls) {
    pthread_mutex_lock(&peer->lock);
    SSL_CTX_free(peer->tls);
    peer->tls = tls;
    pthread_mutex_unlock(&peer->lock);
}

void peer_stop(struct peer *peer) {
    shutdown(peer->listener, SHUT_RDWR); /* ends accept() with EINVAL */
    pthread_mutex_lock(&peer->lock);
    for (int i = 0; i < peer->n_links; i++)
        if (peer->links[i].fd >= 0)
            shutdown(peer->links[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&peer->lock);
    pthread_join(peer->thread, NULL);
    for (int i = 0; i < peer->n_links; i++) {
        if (peer->links[i].fd >= 0)
            close(peer->links[i].fd);
        SSL_free(peer->links[i].tls);
    }
    close(peer->listener);
    SSL_CTX_free(peer->tls);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

const char *peer_name(const struct peer *peer) {
    return peer->name;
}

const char *peer_port(const struct peer *peer) {
    return peer->port;
}

int peer_accepted(struct peer *peer) {
    int n;

    pthread_mutex_lock(&peer->lock);
    n = peer->n_links;
    pthread_mutex_unlock(&peer->lock);
    return n;
}

/* ---- their connections ------------------------------------------------------------- */

static bool is_over(struct peer *peer, int n) {
    bool over;

    pthread_mutex_lock(&peer->lock);
    over = n < peer->n_links && peer->links[n].state != OPENING;
    pthread_mutex_unlock(&peer->lock);
    return over;
}

SSL *peer_tls(struct peer *peer, int n) {
    if (!EVENTUALLY(is_over(peer, n)) || peer->links[n].state != OPEN)
        return NULL;
    return peer->links[n].tls;
}

void peer_close(struct peer *peer, int n) {
    if (!peer_tls(peer, n))
        return;
    close(peer->links[n].fd);
    peer->links[n].fd = -1;
}

void peer_reset(struct peer *peer, int n) {
    if (peer_tls(peer, n))
        reset_at_close(peer->links[n].fd);
    peer_close(peer, n);
}

/* ---- treating them ----------------------------------------------------------------- */

bool client_stays(int fd, int milliseconds) {
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};

    return poll(&end, 1, milliseconds) == 0;
}

bool client_speaks(int fd) {
    char bytes[4096];

    return recv(fd, bytes, sizeof bytes, 0) > 0;
}

void send_raw(int fd, const void *bytes, size_t len) {
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
        return; /* the client has gone */
}

/* ---- both ends --------------------------------------------------------------------- */

static bool arrives(SSL *tls, const char *text) {
    char bytes[256];
    int want = (int)strlen(text);
    int have = 0;

    while (have < want) {
        int n = SSL_read(tls, bytes + have, want - have);

        if (n <= 0)
            return false;
        have += n;
    }
    return memcmp(bytes, text, (size_t)want) == 0;
}

bool client_to_peer(dpl_conn_t *conn, SSL *peer, const char *text) {
    return write_string(conn, text, 5) == DPL_SUCCESS && arrives(peer, text);
}

bool peer_to_client(SSL *peer, dpl_conn_t *conn, const char *text) {
    return SSL_write(peer, text, (int)strlen(text)) > 0 && arrives(conn->ssl, text);
}

bool converse_with(dpl_conn_t *conn, SSL *peer) {
    return client_to_peer(conn, peer, "a request") && peer_to_client(peer, conn, "its reply");
}
