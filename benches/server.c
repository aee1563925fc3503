/*
 * server plain|tls: prints its port and, for TLS, the file of its authority, and
 * serves until its stdin ends. It discards what it is sent, at as little cost as
 * can be, so that the client is what is measured.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "support/certificate.h"

enum { EVENTS = 256, STACK = 128 * 1024, BACKLOG = 4096 };

static SSL_CTX *tls;

static _Noreturn void give_up(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

static int listen_anywhere(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0)
        give_up("listen");
    getsockname(fd, (struct sockaddr *)&address, &len);
    *port = ntohs(address.sin_port);
    return fd;
}

/* A reset, so that the client's end leaves no port in TIME_WAIT. */
static void end(int fd) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* MSG_TRUNC without a buffer: nothing is copied (tcp(7)). */
static void discard(int fd) {
    ssize_t n;

    do
        n = recv(fd, NULL, 1 << 24, MSG_TRUNC | MSG_DONTWAIT);
    while (n > 0);
    if (n == 0 || errno != EAGAIN)
        end(fd);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void *serve_plain(void *arg) {
    int listener = *(int *)arg;
    int epoll = epoll_create1(0);
    struct epoll_event events[EVENTS];

    watch(epoll, listener);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                watch(epoll, accept(listener, NULL, NULL));
            else
                discard(events[i].data.fd);
        }
    }
    return NULL;
}

static void *converse(void *arg) {
    int fd = (int)(intptr_t)arg;
    SSL *ssl = SSL_new(tls);
    static _Thread_local char buffer[16 * 1024];
    int n = 0;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1)
        while ((n = SSL_read(ssl, buffer, sizeof buffer)) > 0)
            if (buffer[0] == '?')
                SSL_write(ssl, "!", 1);
    SSL_free(ssl);
    end(fd);
    return NULL;
}

static void *serve_tls(void *arg) {
    int listener = *(int *)arg;
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    for (;;) {
        intptr_t fd = accept(listener, NULL, NULL);
        pthread_t thread;

        if (fd >= 0 && pthread_create(&thread, &attributes, converse, (void *)fd) != 0)
            close((int)fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    bool secure = argc == 2 && strcmp(argv[1], "tls") == 0;
    int port;
    int listener = listen_anywhere(&port);
    pthread_t thread;

    signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    pin_to_cpu((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
    if (secure)
        tls = server_tls_new(NULL);
    printf("%d %s\n", port, secure ? authority_file() : "");
    fclose(stdout);
    errno = pthread_create(&thread, NULL, secure ? serve_tls : serve_plain, &listener);
    if (errno)
        give_up("thread");
    while (getchar() != EOF)
        ;
    return EXIT_SUCCESS;
}
