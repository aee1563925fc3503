/* A program that is linked with no library of ours, and uses what is in front of it. Its argument is a profile. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* Looks a function up as the loader does for a program that calls it. */
#define FIND(name) (*(void **)&(name) = dlsym(RTLD_DEFAULT, "dplx_" #name))

int main(int argc, char **argv) {
    void *(*ctx_new)(const char *);
    void *(*connect)(void *, int);
    int (*conn_write)(void *, const void *, size_t, int);
    ssize_t (*reply_read)(void *, void *, size_t, int);
    static const char request[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    char body[4096];
    ssize_t n;
    void *ctx, *conn;

    if (argc != 2 || !FIND(ctx_new) || !FIND(connect) || !FIND(conn_write) || !FIND(reply_read))
        return 2;
    ctx = ctx_new(argv[1]);
    conn = ctx ? connect(ctx, 5000) : NULL;
    if (!conn || conn_write(conn, request, strlen(request), 5000) != 0)
        return 1;
    while ((n = reply_read(conn, body, sizeof body, 5000)) > 0)
        fwrite(body, 1, (size_t)n, stdout);
    return n < 0;
}
