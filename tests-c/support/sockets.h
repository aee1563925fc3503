/*
 * Counts what a program's threads connect to: every connect() and close() of the process passes
 * here, also those of libraries. To be included by one file of a program, since it defines both.
 */
#ifndef SUPPORT_SOCKETS_H
#define SUPPORT_SOCKETS_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/loopback.h"

enum { SOCKETS_MAX = 4096, PORTS = 65536 };

static struct {
    atomic_bool is_watched[PORTS];
    atomic_int attempts[PORTS];
    atomic_int port_of[SOCKETS_MAX]; /* 0: not a socket to a watched port */
    atomic_int open_at[PORTS], open, most;
} sockets;

/* From now on connections to this server count. */
static inline void sockets_watch(const struct server *server) {
    sockets.is_watched[atoi(server_port(server))] = true;
}

/* Number of connects to the server, also those that failed. */
static inline int connects_to(const struct server *server) {
    return sockets.attempts[atoi(server_port(server))];
}

/* Sockets that lead to it now, those that are still on their way among them. */
static inline int sockets_to(const struct server *server) {
    return sockets.open_at[atoi(server_port(server))];
}

/* The most there ever were at once, to all watched servers together. */
static inline int most_sockets(void) {
    return sockets.most;
}

static inline void count_socket(int fd, int port) {
    int now = atomic_fetch_add(&sockets.open, 1) + 1;
    int most = sockets.most;

    sockets.attempts[port]++;
    sockets.open_at[port]++;
    sockets.port_of[fd] = port;
    while (now > most && !atomic_compare_exchange_weak(&sockets.most, &most, now))
        ;
}

int connect(int fd, const struct sockaddr *to, socklen_t len) {
    static int (*_Atomic libc_one)(int, const struct sockaddr *, socklen_t);
    in_port_t port = 0;

    if (!libc_one)
        libc_one = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    if (to->sa_family == AF_INET)
        port = ntohs(((const struct sockaddr_in *)(const void *)to)->sin_port);
    else if (to->sa_family == AF_INET6)
        port = ntohs(((const struct sockaddr_in6 *)(const void *)to)->sin6_port);
    /* One that is on its way is only asked how it stands (connect(2)). */
    if (sockets.is_watched[port] && fd >= 0 && fd < SOCKETS_MAX && sockets.port_of[fd] == 0)
        count_socket(fd, port);
    return libc_one(fd, to, len);
}

int close(int fd) {
    static int (*_Atomic libc_one)(int);
    int port = fd >= 0 && fd < SOCKETS_MAX ? atomic_exchange(&sockets.port_of[fd], 0) : 0;

    if (!libc_one)
        libc_one = (int (*)(int))dlsym(RTLD_NEXT, "close");
    if (port) {
        sockets.open_at[port]--;
        sockets.open--;
    }
    return libc_one(fd);
}

#endif
