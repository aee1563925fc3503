/* Writing all of a vector, to a peer that drains. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cases.h"
#include "client.h"
#include "results.h"

enum { ROUNDS = 101, MOST_PIECES = 1000, MOST_BYTES = 1 << 20 };
static const double ROUND_NS = 3e6;

static const struct load {
    const char *id;
    const char *what;
    size_t bytes;
    int pieces;
} loads[] = {
    {"64", "64 B", 64, 1},
    {"8k", "8 KiB in 4", 8 << 10, 4},
    {"1m", "1 MiB in 4", 1 << 20, 4},
    {"1m-1000", "1 MiB in 1000", 1 << 20, 1000},
};
enum { LOADS = sizeof loads / sizeof *loads };

struct writer {
    dpl_conn_t *conn;
    const struct load *load;
};

static char data[MOST_BYTES];

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(EXIT_FAILURE);
}

/* Made anew for each write, because a write may change it. */
static void cut(const struct load *load, struct iovec *iov) {
    size_t piece = load->bytes / (size_t)load->pieces;
    size_t left = load->bytes;

    for (int i = 0; i < load->pieces; i++) {
        size_t len = i + 1 < load->pieces ? piece : left;

        iov[i] = (struct iovec){.iov_base = data + (load->bytes - left), .iov_len = len};
        left -= len;
    }
}

static void write_all(void *subject, long n) {
    struct writer *writer = subject;
    struct iovec iov[MOST_PIECES];

    for (long i = 0; i < n; i++) {
        cut(writer->load, iov);
        if (dpl_conn_writev_all(writer->conn, iov, writer->load->pieces, 30) != DPL_SUCCESS)
            give_up("write-all failed");
    }
}

static void send_all(int fd, struct iovec *iov, int pieces) {
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)pieces};

    while (message.msg_iovlen > 0) {
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            give_up("sendmsg failed");
        for (; n > 0 && (size_t)n >= message.msg_iov->iov_len; message.msg_iov++) {
            n -= (ssize_t)message.msg_iov->iov_len;
            message.msg_iovlen--;
        }
        if (n > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
            message.msg_iov->iov_len -= (size_t)n;
        }
    }
}

static void bare_sendmsg(void *subject, long n) {
    struct writer *writer = subject;
    struct iovec iov[MOST_PIECES];

    for (long i = 0; i < n; i++) {
        cut(writer->load, iov);
        send_all(writer->conn->fd, iov, writer->load->pieces);
    }
}

static void bare_ssl_write(void *subject, long n) {
    struct writer *writer = subject;
    struct iovec iov[MOST_PIECES];

    for (long i = 0; i < n; i++) {
        cut(writer->load, iov);
        for (int piece = 0; piece < writer->load->pieces; piece++)
            if (SSL_write(writer->conn->ssl, iov[piece].iov_base, (int)iov[piece].iov_len) <= 0)
                give_up("SSL_write failed");
    }
}

/* Bytes in a nanosecond are GB/s; the ratio compares the rates. */
static struct comparison rates_of(struct comparison times, const struct load *load) {
    return (struct comparison){.ours = (double)load->bytes / times.ours * 1e3,
                               .floor = (double)load->bytes / times.floor * 1e3,
                               .ratio = 1 / times.ratio};
}

static void bench_over(const struct peer *peer, operation *floor, const char *kind,
                       const char *floor_name, double goal) {
    struct client client = client_new(peer, "127.0.0.1");
    dpl_conn_t *conn = client_checkout(&client);
    char id[32];
    char what[80];

    memset(data, 'x', sizeof data);
    for (int i = 0; i < LOADS; i++) {
        struct writer writer = {.conn = conn, .load = &loads[i]};
        struct comparison times = compare((struct side){write_all, &writer},
                                          (struct side){floor, &writer}, ROUND_NS, ROUNDS, NULL);

        snprintf(id, sizeof id, "%s-%s", kind, loads[i].id);
        snprintf(what, sizeof what, "%s %s; floor: a loop of %s", kind, loads[i].what, floor_name);
        result(id, what, "MB/s", rates_of(times, &loads[i]), (struct goal){RATIO_AT_LEAST, goal});
    }
    dpl_conn_terminate(conn);
}

void write_loop(struct client *client, long n) {
    struct writer writer = {.conn = client_checkout(client), .load = &loads[1]};

    write_all(&writer, n);
    dpl_conn_terminate(writer.conn);
}

void bench_write(const struct peers *peers) {
    bench_over(&peers->plain, bare_sendmsg, "write", "sendmsg", 0.98);
}

void bench_write_tls(const struct peers *peers) {
    bench_over(&peers->tls, bare_ssl_write, "write-tls", "SSL_write", 0.97);
}
