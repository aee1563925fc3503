/* Connections. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_CONN_H__
#define __DROPLET_CONN_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The peer: its address in network byte order, its port in the host's. */
struct dpl_hash_info {
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } addr;
    u_short port;
};

typedef enum { DPL_CONN_TYPE_HTTP = 0, DPL_CONN_TYPE_FILE = 1 } dpl_conn_type_t;

/** A connection, which one thread has to itself. */
struct dpl_conn {
    dpl_conn_type_t type;
    struct dpl_ctx *ctx;
    struct dpl_conn *next;
    struct dpl_conn *prev;
    struct dpl_hash_info hash_info;
    char *host;
    char *port;
    int fd;
    time_t start_time;
    time_t close_time;   /**< when it was given back last */
    unsigned int n_hits; /**< how often it was used again */
    size_t read_buf_size;
    char *read_buf;
    int read_buf_pos;    /**< from here to eof: where the reader of a reply is */
    int block_size;
    int max_blocks;
    ssize_t cc;
    dpl_status_t status;
    int eof;
    SSL *ssl;
    BIO *bio;
};

/** Never read. */
extern dpl_ctx_t *dpl_default_conn_ctx;

/**
 * Makes the connection pool of a context. Droplet calls it when it makes the context, and the caller
 * frees the pool with dpl_conn_pool_destroy().
 *
 * @param ctx a new context, in the layout of Droplet 3.0 or of Bareos, whose connection limits still have
 *        their default values (which no profile changes)
 * @return DPL_SUCCESS; DPL_FAILURE if the layout is not known, or the SSL_CTX was made by another OpenSSL than
 *         the one that this library is linked with; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_status_t dpl_conn_pool_init(dpl_ctx_t *ctx);

/**
 * Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in
 * use stay usable; when they are given back they are closed.
 *
 * @param ctx a context, or NULL; one whose pool was not made is left alone
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t` that no other thread uses.
 */
void dpl_conn_pool_destroy(dpl_ctx_t *ctx);

/**
 * Gets a connection for a request: an idle one that is still good, the one released last first, or a new
 * one. The calling thread has it to itself and gives it back with dpl_conn_release() or
 * dpl_conn_terminate().
 *
 * The hosts of the profile take turns. One that cannot be connected to within `conn_timeout` seconds, or
 * refuses, is blacklisted for `blacklist_expiretime` seconds and the next one is tried; one that has not
 * answered after 250 ms is raced by the next. With virtual hosting the connection is made to
 * `BUCKET.HOST`.
 *
 * @param ctx the context, from which limits and timeouts are read at every call
 * @param req the request; its `host` and `port` are set to what was connected to, strings that are freed
 *        with it. The host has neither a final dot nor a zone
 * @param connp receives the connection; unchanged on error. NULL: the connection is closed at once
 * @return DPL_SUCCESS; DPL_FAILURE if no host is left; DPL_ELIMIT if `n_conn_max` leaves no connection to try
 *         one with; DPL_ESYS if the system is out of descriptors or ports, or forbids every connect (routes,
 *         filters); DPL_ENOMEM; DPL_ENAMETOOLONG if
 *         `BUCKET.HOST` is longer than 253 characters (RFC 1035); DPL_EINVAL for a NULL context or
 *         request
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller
 * uses; `connp` is NULL or writable.
 */
dpl_status_t dpl_try_connect(dpl_ctx_t *ctx,
                             dpl_req_t *req,
                             dpl_conn_t **connp);

/**
 * Gets a connection to one host by name, idle or new. The host need not be in the profile; if it is, its
 * idle connections are used, its turn is not counted, and a failure does not blacklist it.
 *
 * @param ctx the context
 * @param af not used: every address of the host is tried, of either family
 * @param host a name, or a literal address
 * @param portstr a decimal port
 * @return the connection, to be given back with dpl_conn_release() or dpl_conn_terminate(); NULL on
 *         failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
dpl_conn_t *dpl_conn_open_host(dpl_ctx_t *ctx,
                               int af,
                               const char *host,
                               const char *portstr);

/**
 * Makes a connection that reads from and writes to an open local file, pipe or socket. It does not count
 * as a connection of the context.
 *
 * @param ctx the context
 * @param fd an open descriptor, which the connection owns from then on; on failure it stays the caller's
 * @return the connection, to be given back with dpl_conn_release(), which closes the descriptor; NULL on
 *         failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; nobody else closes `fd` once the call has succeeded.
 */
dpl_conn_t *dpl_conn_open_file(dpl_ctx_t *ctx,
                               int fd);

/**
 * Gives a connection back. It stays open for later requests, unless it failed, bytes on it were left
 * unread, nothing has come back since something was written, or its context was freed; then, and if it leads
 * to a file, it is closed.
 *
 * What is closed is the descriptor in `conn->fd`. A program that takes the descriptor for itself sets the field
 * to -1, one that puts another in its place hands that over. `conn->host`, `conn->port` and `conn->read_buf` are
 * blocks of malloc(), which the program may free and replace, the names by NULL too; what is there in the end
 * is freed.
 *
 * @param conn the connection, which must not be used any more; NULL has no effect. One that was given
 *        back before is left alone, with a line in the log
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
void dpl_conn_release(dpl_conn_t *conn);

/**
 * Gives a connection back and closes it at once: to be called instead of dpl_conn_release() after an
 * error.
 *
 * @param conn the connection, which must not be used any more; otherwise as in dpl_conn_release()
 *
 * @pre As for dpl_conn_release().
 */
void dpl_conn_terminate(dpl_conn_t *conn);

/**
 * Writes all of an IO vector, in order. A connection on which that failed is closed when it is given
 * back; its host is blacklisted if the connection was a new one, or took no byte for too long, unless a reply
 * is there already.
 *
 * @param conn the connection
 * @param iov the pieces, which may be modified; NULL if there are none. A piece of no length may have no
 *        address
 * @param n_iov how many there are, any number
 * @param timeout how long no byte may move, in seconds; -1 for no limit, 0 not to wait
 * @return DPL_SUCCESS; DPL_ETIMEOUT; DPL_EINVAL for NULL or a negative count; DPL_FAILURE
 *
 * @pre `conn` is NULL or came from a function of this library; `iov` is NULL or points to `n_iov` pieces of
 * readable memory.
 */
dpl_status_t dpl_conn_writev_all(dpl_conn_t *conn,
                                 struct iovec *iov,
                                 int n_iov,
                                 int timeout);

/**
 * Blacklists a host for the context's `blacklist_expiretime`. Droplet calls it when a reply is broken or
 * has a status of 5xx. Its idle connections are closed, unless it is for a connection whose reply was complete.
 * If nothing came back on a connection that was used before, the peer had merely
 * closed it while it was idle: then only that connection is not used again.
 *
 * @param ctx the context
 * @param host the host, as in the profile, as `BUCKET.HOST`, or as any name that leads to its address;
 *        where it is the `host` of a connection in use, that connection is meant
 * @param portstr a decimal port
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
void dpl_blacklist_host(dpl_ctx_t *ctx,
                        const char *host,
                        const char *portstr);

#ifdef __cplusplus
}
#endif

#endif
