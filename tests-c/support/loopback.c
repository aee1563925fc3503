#include "support/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/link.h"

enum { BACKLOG = 512, THREAD_STACK = 256 * 1024 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static _Noreturn void give_up(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

/* Server threads take no signals: those are for the threads under test. */
static pthread_t spawn(void *(*run)(void *), void *arg) {
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&thread, &attributes, run, arg);
    if (errno)
        give_up("thread of a loopback server");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return thread;
}

/* ---- addresses --------------------------------------------------------------------- */

static socklen_t parse_address(const char *text, int port, union address *address) {
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons((in_port_t)port);
        return sizeof address->v4;
    }
    inet_pton(AF_INET6, text, &address->v6.sin6_addr);
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons((in_port_t)port);
    return sizeof address->v6;
}

static int bound_socket(const union address *address, socklen_t len, int receive_buffer) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (bind(fd, &address->any, len) != 0)
        give_up("address of a loopback server");
    return fd;
}

/* The port is bound by number: only then does it stay bound while the server is dead. */
static void bind_listener(struct server *server, const char *text) {
    union address address;
    socklen_t len = parse_address(text, server->options.port, &address);
    int scout = bound_socket(&address, len, 0);
    bool v4 = address.any.sa_family == AF_INET;

    getsockname(scout, &address.any, &len);
    server->listener = bound_socket(&address, len, server->options.receive_buffer);
    close(scout);
    snprintf(server->port, sizeof server->port, "%d",
             ntohs(v4 ? address.v4.sin_port : address.v6.sin6_port));
    snprintf(server->name, sizeof server->name, v4 ? "%s:%s" : "[%s]:%s", text, server->port);
}

/* ---- links ------------------------------------------------------------------------- */

static void free_link(struct link *link) {
    pthread_join(link->thread, NULL);
    SSL_free(link->tls);
    pthread_mutex_destroy(&link->io);
    free(link);
}

static void add_link(struct server *server, int fd) {
    struct link *link = calloc(1, sizeof *link);
    int yes = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    link->server = server;
    link->fd = fd;
    pthread_mutex_init(&link->io, NULL);
    if (server->tls) {
        link->tls = SSL_new(server->tls);
        SSL_set_fd(link->tls, fd);
    }
    pthread_mutex_lock(&server->lock);
    LIST_INSERT_HEAD(&server->links, link, others);
    /* Counted once others find it, and as open before it is as accepted. */
    server->open++;
    server->accepted++;
    link->thread = spawn(link_run, link);
    pthread_mutex_unlock(&server->lock);
}

static struct link *take_link(struct server *server, bool ended_only) {
    struct link *link;

    pthread_mutex_lock(&server->lock);
    LIST_FOREACH (link, &server->links, others)
        if (link->fd < 0 || (link->is_doomed && !ended_only))
            break;
    if (link)
        LIST_REMOVE(link, others);
    pthread_mutex_unlock(&server->lock);
    return link;
}

static void free_links(struct server *server, bool ended_only) {
    struct link *link;

    while ((link = take_link(server, ended_only)) != NULL)
        free_link(link);
}

static void for_open_links(struct server *server, void (*act)(struct link *)) {
    struct link *link;

    pthread_mutex_lock(&server->lock);
    LIST_FOREACH (link, &server->links, others)
        if (link->fd >= 0)
            act(link);
    pthread_mutex_unlock(&server->lock);
}

static void hang_up(struct link *link) {
    link->is_doomed = true;
    shutdown(link->fd, SHUT_RDWR);
}

/* A link that is busy hangs up without the goodbye of TLS. */
static void say_goodbye(struct link *link) {
    if (link->tls && pthread_mutex_trylock(&link->io) == 0) {
        SSL_shutdown(link->tls);
        pthread_mutex_unlock(&link->io);
    }
    hang_up(link);
}

static void reset(struct link *link) {
    link->is_doomed = true;
    reset_at_close(link->fd);
    shutdown(link->fd, SHUT_RD); /* its thread wakes up and closes */
}

/* ---- listening --------------------------------------------------------------------- */

static void *accept_all(void *arg) {
    struct server *server = arg;
    int fd;

    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno != EINVAL) {
        if (fd < 0)
            continue;
        free_links(server, true);
        if (server->behaviour == RESET_ON_ACCEPT) {
            server->accepted++;
            reset_at_close(fd);
            close(fd);
        } else {
            add_link(server, fd);
        }
    }
    return NULL;
}

static void stop_accepting(struct server *server) {
    /* Ends accept() with EINVAL; the socket stays bound and can listen again. Where it does not
     * listen, a shutdown would stay with it, and with the connections to come. */
    if (server->listening)
        shutdown(server->listener, SHUT_RDWR);
    if (server->accepting)
        pthread_join(server->acceptor, NULL);
    server->listening = server->accepting = false;
    for (int i = 0; i < (int)(sizeof server->callers / sizeof *server->callers); i++) {
        if (server->callers[i] >= 0)
            close(server->callers[i]);
        server->callers[i] = -1;
    }
}

void server_kill(struct server *server) {
    server->troubles_begun++;
    stop_accepting(server);
    for_open_links(server, hang_up);
    free_links(server, false);
    server->troubles_over++;
}

static void listen_with(struct server *server, int backlog) {
    if (listen(server->listener, backlog) != 0)
        give_up("listen");
    server->listening = true;
}

void server_restart(struct server *server) {
    stop_accepting(server);
    listen_with(server, BACKLOG);
    server->acceptor = spawn(accept_all, server);
    server->accepting = true;
}

void server_hang(struct server *server) {
    server_behave(server, SILENT);
    stop_accepting(server);
}

/* A queue of one, which one caller fills; the kernel drops what further callers send. */
void server_go_deaf(struct server *server) {
    union address address;
    socklen_t len = sizeof address;

    server_kill(server);
    getsockname(server->listener, &address.any, &len);
    listen_with(server, 0);
    for (int i = 0; i < (int)(sizeof server->callers / sizeof *server->callers); i++) {
        struct pollfd connected = {.events = POLLOUT};

        connected.fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        server->callers[i] = connected.fd;
        connect(connected.fd, &address.any, len);
        if (poll(&connected, 1, 100) == 0)
            return;
    }
    give_up("a queue that is never full");
}

/* ---- servers ----------------------------------------------------------------------- */

struct server *server_start(struct server_options options) {
    struct server *server = calloc(1, sizeof *server);
    bool tls = options.tls == TLS_ALWAYS || (options.tls == TLS_IF_WANTED && tls_wanted());

    server->options = options;
    server->behaviour = options.behaviour;
    server->digest = DIGEST_OF_NOTHING;
    pthread_mutex_init(&server->lock, NULL);
    memset(server->callers, -1, sizeof server->callers);
    if (tls)
        server->tls = server_tls_new(options.tls_names);
    bind_listener(server, options.address ? options.address : "127.0.0.1");
    if (!options.refuse)
        server_restart(server);
    return server;
}

struct server *server_answering(int id) {
    return server_start((struct server_options){.id = id});
}

void server_stop(struct server *server) {
    server_kill(server);
    close(server->listener);
    SSL_CTX_free(server->tls);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void server_behave(struct server *server, enum behaviour behaviour) {
    server->behaviour = behaviour;
}

void server_reset_connections(struct server *server) {
    server->troubles_begun++;
    for_open_links(server, reset);
    free_links(server, false);
    server->troubles_over++;
}

static void *send_to_all(void *server) {
    for_open_links(server, send_unasked);
    return NULL;
}

static void *say_goodbye_to_all(void *server) {
    for_open_links(server, say_goodbye);
    return NULL;
}

/* On a thread that takes no signals: a client that is gone must not cost us a SIGPIPE. */
static void write_to_all(struct server *server, void *(*write)(void *server)) {
    pthread_join(spawn(write, server), NULL);
}

void server_close_connections(struct server *server) {
    server->troubles_begun++;
    write_to_all(server, say_goodbye_to_all);
    free_links(server, false);
    server->troubles_over++;
}

void server_send_unasked(struct server *server) {
    server->troubles_begun++;
    write_to_all(server, send_to_all);
    server->troubles_over++;
}

const char *server_name(const struct server *server) {
    return server->name;
}

const char *server_port(const struct server *server) {
    return server->port;
}

long server_troubles_begun(struct server *server) {
    return server->troubles_begun;
}

long server_troubles_over(struct server *server) {
    return server->troubles_over;
}

long server_accepted(struct server *server) {
    return server->accepted;
}

long server_open(struct server *server) {
    return server->open;
}

long server_requests(struct server *server) {
    return server->requests;
}

long server_bytes(struct server *server) {
    return server->bytes;
}

uint64_t server_digest(struct server *server) {
    return server->digest;
}
