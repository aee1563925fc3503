/*
 * The host's own reply reader, for DPLX_REPLY_READER=droplet and for plugins whose
 * calls no other library sees. It reads past the library's back through conn->fd or
 * conn->ssl, and owns read_buf_pos, cc, status and eof: bytes that came with a
 * reply but are not part of it stay in read_buf, with cc > read_buf_pos.
 */
#include "droplet.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LINE_SIZE = 1024 };

struct head {
    int http_status;
    unsigned int content_length;
    bool close;
};

/* ---- bytes ------------------------------------------------------------------------- */

static bool readable_in_time(dpl_conn_t *conn) {
    struct pollfd wait = {.fd = conn->fd, .events = POLLIN};
    int n;

    do
        n = poll(&wait, 1, conn->ctx->read_timeout < 0 ? -1 : conn->ctx->read_timeout * 1000);
    while (n < 0 && errno == EINTR);
    conn->status = n == 0 ? DPL_ETIMEOUT : DPL_SUCCESS;
    return n > 0;
}

static ssize_t read_plain(dpl_conn_t *conn) {
    ssize_t n;

    if (!readable_in_time(conn))
        return -1;
    do
        n = read(conn->fd, conn->read_buf, conn->read_buf_size);
    while (n < 0 && errno == EINTR);
    return n;
}

/* As in the original there is no poll here: the wait is bounded by who made conn->ssl. */
static ssize_t read_tls(dpl_conn_t *conn) {
    int n = SSL_read(conn->ssl, conn->read_buf, (int)conn->read_buf_size);

    if (n > 0)
        return n;
    return SSL_get_error(conn->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static bool refill(dpl_conn_t *conn) {
    conn->read_buf_pos = 0;
    conn->status = DPL_SUCCESS;
    conn->cc = conn->ssl ? read_tls(conn) : read_plain(conn);
    conn->eof = conn->cc == 0;
    if (conn->cc <= 0 && conn->status == DPL_SUCCESS)
        conn->status = DPL_FAILURE;
    return conn->cc > 0;
}

static bool has_bytes(dpl_conn_t *conn) {
    return conn->read_buf_pos < conn->cc || refill(conn);
}

static bool read_line(dpl_conn_t *conn, char line[LINE_SIZE]) {
    size_t len = 0;

    while (has_bytes(conn)) {
        char c = conn->read_buf[conn->read_buf_pos++];

        if (c == '\n') {
            line[len && line[len - 1] == '\r' ? len - 1 : len] = '\0';
            return true;
        }
        if (len == LINE_SIZE - 1) {
            conn->status = DPL_FAILURE;
            return false;
        }
        line[len++] = c;
    }
    return false;
}

static bool read_exactly(dpl_conn_t *conn, char *to, size_t len) {
    while (len > 0) {
        size_t n;

        if (!has_bytes(conn))
            return false;
        n = (size_t)(conn->cc - conn->read_buf_pos);
        n = n < len ? n : len;
        memcpy(to, conn->read_buf + conn->read_buf_pos, n);
        conn->read_buf_pos += (int)n;
        to += n;
        len -= n;
    }
    return true;
}

/* ---- messages ---------------------------------------------------------------------- */

static void read_header(const char *line, struct head *head) {
    const char *value = strchr(line, ':');

    if (!value)
        return;
    value += 1 + strspn(value + 1, " \t");
    if (strncasecmp(line, "Content-Length:", 15) == 0)
        head->content_length = (unsigned int)strtoul(value, NULL, 10);
    else if (strncasecmp(line, "Connection:", 11) == 0)
        head->close = strcasecmp(value, "close") == 0;
}

static bool read_head(dpl_conn_t *conn, struct head *head) {
    char line[LINE_SIZE];

    *head = (struct head){0};
    if (!read_line(conn, line))
        return false;
    if (sscanf(line, "HTTP/1.%*d %d", &head->http_status) != 1) {
        conn->status = DPL_FAILURE;
        return false;
    }
    while (read_line(conn, line)) {
        if (!*line)
            return true;
        read_header(line, head);
    }
    return false;
}

static bool read_body(dpl_conn_t *conn, size_t len, char **datap) {
    char *data = malloc(len + 1);

    if (!data) {
        conn->status = DPL_ENOMEM;
        return false;
    }
    if (!read_exactly(conn, data, len)) {
        free(data);
        return false;
    }
    data[len] = '\0';
    *datap = data;
    return true;
}

static dpl_status_t broken(dpl_conn_t *conn) {
    dpl_blacklist_host(conn->ctx, conn->host, conn->port);
    return conn->status;
}

dpl_status_t dpl_read_http_reply(dpl_conn_t *conn, int expect_data, char **datap,
                                 unsigned int *lenp, dpl_dict_t **headersp,
                                 int *connection_closep) {
    struct head head;
    char *data = NULL;
    unsigned int len;

    if (headersp)
        return DPL_ENOTSUPP;
    if (!read_head(conn, &head))
        return broken(conn);
    len = expect_data ? head.content_length : 0;
    if (!read_body(conn, len, &data))
        return broken(conn);
    if (connection_closep)
        *connection_closep = head.close;
    if (lenp)
        *lenp = len;
    if (datap)
        *datap = data;
    else
        free(data);
    if (head.http_status >= 500)
        dpl_blacklist_host(conn->ctx, conn->host, conn->port);
    return head.http_status / 100 == 2 ? DPL_SUCCESS : DPL_FAILURE;
}
