/* A server on a free port of this machine, which it prints. Each connection gets one reply. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("server");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fclose(stdout);
    for (;;) {
        char request[4096] = "";
        size_t length = 0;
        int peer = accept(listener, NULL, NULL);

        while (length < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
            ssize_t n = read(peer, request + length, sizeof request - 1 - length);
            if (n <= 0)
                break;
            length += (size_t)n;
        }
        if (write(peer, reply, sizeof reply - 1) < 0)
            perror("server");
        close(peer);
    }
}
