#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

/* The server's program lies beside this one. */
static void path_of_server(char *path, size_t size) {
    ssize_t len = readlink("/proc/self/exe", path, size - sizeof "server");

    if (len < 0)
        give_up("/proc/self/exe");
    path[len] = '\0';
    strcpy(strrchr(path, '/') + 1, "server");
}

/* It runs without the library under test, and ends when its stdin does. */
static _Noreturn void become_server(bool tls, const int *in, const int *out) {
    char path[4096];

    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    unsetenv("LD_PRELOAD");
    path_of_server(path, sizeof path);
    execl(path, path, tls ? "tls" : "plain", (char *)NULL);
    _exit(127);
}

struct peer peer_start(bool tls) {
    struct peer peer = {.port = 0};
    FILE *answer;
    int in[2];
    int out[2];
    pid_t pid;

    if (pipe(in) != 0 || pipe(out) != 0)
        give_up("pipe");
    pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0)
        become_server(tls, in, out);
    close(in[0]); /* in[1] stays open for as long as this process lives */
    close(out[1]);
    answer = fdopen(out[0], "r");
    if (!answer || fscanf(answer, "%d %255s", &peer.port, peer.authority) < 1) {
        fprintf(stderr, "the server did not start\n");
        exit(EXIT_FAILURE);
    }
    fclose(answer);
    return peer;
}

int peer_connect(const struct peer *peer) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)peer->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("bare connect");
    return fd;
}

void peer_settle(const struct peer *peer) {
    int fd = peer_connect(peer);
    char byte;

    shutdown(fd, SHUT_WR);
    while (recv(fd, &byte, 1, 0) > 0)
        ;
    close(fd);
}
