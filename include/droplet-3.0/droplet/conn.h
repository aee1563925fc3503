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
 * Makes the connection pool of a context. Droplet calls this when it makes a context. The caller frees the pool with
 * dpl_conn_pool_destroy().
 *
 * @param ctx a new context in a layout of Droplet 3.0 since June 2014, or of Bareos. Its connection limits have
 *        their default values, which no profile changes
 * @return DPL_SUCCESS; DPL_FAILURE if the layout is unknown, or if the SSL_CTX was made by another OpenSSL than the
 *         one that this library is linked with; DPL_EINVAL if `ctx` is NULL; DPL_ENOMEM
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_status_t dpl_conn_pool_init(dpl_ctx_t *ctx);

/**
 * Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in use stay
 * usable. They are closed when they are given back.
 *
 * @param ctx the context. NULL and a context without a pool have no effect
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t` that no other thread uses.
 */
void dpl_conn_pool_destroy(dpl_ctx_t *ctx);

/**
 * Gets a connection for a request: an idle one that is still good, or a new one. Of several idle ones it is the one
 * released last. The connection belongs to the calling thread, which gives it back with dpl_conn_release() or
 * dpl_conn_terminate().
 *
 * The hosts of the profile take turns. A host that refuses, or does not answer within `conn_timeout` seconds, is
 * blacklisted for `blacklist_expiretime` seconds, and the next host is tried. If no other host is left, hosts that are
 * blacklisted for a reply are used all the same, and those that failed are probed before their time: 50 ms after the
 * failure, and then at doubling distance. If a host has not answered after 250 ms, or after an equal part of the time that
 * the call has left for all hosts, the next host is tried beside it, and the first that answers is used. If none
 * answers in time, an idle connection to a host that was not tried serves. With virtual hosting the connection is made
 * to `BUCKET.HOST`. A host is left out if that is longer than 253 characters, the most that fit into the 255 bytes of
 * RFC 1035, section 2.3.4.
 *
 * @param ctx the context. Its limits and timeouts are read at every call
 * @param req the request. Its `host` and `port` are set to the host of the connection, without a final dot and without
 *        a zone. The strings are freed with the request
 * @param connp receives the connection; unchanged on failure. If it is NULL, the connection is closed at once
 * @return DPL_SUCCESS; DPL_FAILURE if no host is left, and dplx_last_error() names each and why; DPL_ELIMIT if
 *         `n_conn_max` allows no further connection, at once or after the time of dplx_ctx_set_wait();
 *         DPL_ESYS if the system is out of descriptors or ports, or its routes or filters forbid every connect;
 *         DPL_ENOMEM; DPL_ENAMETOOLONG if all hosts are left out because `BUCKET.HOST` is too long; DPL_EINVAL if
 *         `ctx` or `req` is NULL, if the bucket contains a blank, a bracket or a control character (a line end), if
 *         the context has `use_https` and no SSL_CTX, or if it was freed during the call
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller
 * uses; `connp` is NULL or writable.
 */
dpl_status_t dpl_try_connect(dpl_ctx_t *ctx,
                             dpl_req_t *req,
                             dpl_conn_t **connp);

/**
 * Gets a connection to one host by name, idle or new. The host need not be in the profile. If it is, its idle
 * connections are used, its turn does not change, and a failure does not blacklist it.
 *
 * @param ctx the context
 * @param af not used: all addresses of the host are tried, of either family
 * @param host a name or a literal address
 * @param portstr a decimal port
 * @return the connection, which the caller gives back with dpl_conn_release() or dpl_conn_terminate(); NULL on failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
dpl_conn_t *dpl_conn_open_host(dpl_ctx_t *ctx,
                               int af,
                               const char *host,
                               const char *portstr);

/**
 * Makes a connection that reads from and writes to an open file, pipe or socket. It does not count as a connection of
 * the context.
 *
 * @param ctx the context
 * @param fd an open descriptor. The connection owns it; on failure the caller still does
 * @return the connection, which the caller gives back with dpl_conn_release(); that closes the descriptor. NULL on
 *         failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; nobody else closes `fd` once the call has succeeded.
 */
dpl_conn_t *dpl_conn_open_file(dpl_ctx_t *ctx,
                               int fd);

/**
 * Gives a connection back. It stays open for later requests, or is closed. It is closed if it failed, if bytes on it
 * are unread, if nothing came back since something was written, if its context was freed, or if it leads to a file.
 *
 * The descriptor in `conn->fd` is the one that is closed. A program that keeps the descriptor sets the field to -1.
 * A program that puts another descriptor there hands that over. `conn->host`, `conn->port` and `conn->read_buf` are
 * blocks from malloc(), which the program may free and replace, the first two by NULL as well. The blocks that are
 * there in the end are freed.
 *
 * @param conn the connection, which must not be used any more. NULL has no effect. A connection that was given back
 *        before is logged and left alone
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
void dpl_conn_release(dpl_conn_t *conn);

/**
 * Gives a connection back and closes it at once. Call this after an error, instead of dpl_conn_release().
 *
 * @param conn as in dpl_conn_release()
 *
 * @pre As for dpl_conn_release().
 */
void dpl_conn_terminate(dpl_conn_t *conn);

/**
 * Writes all entries of an iovec, in order. Without a byte in them nothing is sent. If it fails, the connection is
 * closed when it is given back. The host is blacklisted if the connection was new, or if the write timed out, unless
 * the host has sent a reply already.
 *
 * @param conn the connection
 * @param iov the entries, whose contents may be changed; may be NULL if `n_iov` is 0. An entry of length 0 may have
 *        any address, also NULL
 * @param n_iov the number of entries, without an upper limit
 * @param timeout the longest time without progress in seconds; -1 waits for ever, 0 does not wait
 * @return DPL_SUCCESS; DPL_ETIMEOUT; DPL_EINVAL if `conn` or `iov` is NULL or `n_iov` is negative; DPL_ENOMEM if memory
 *         runs out; DPL_FAILURE for any other reason
 *
 * @pre `conn` is NULL or came from a function of this library; `iov` is NULL or points to `n_iov` entries, each of which
 * describes readable memory.
 */
dpl_status_t dpl_conn_writev_all(dpl_conn_t *conn,
                                 struct iovec *iov,
                                 int n_iov,
                                 int timeout);

/**
 * Blacklists a host for the context's `blacklist_expiretime`, and closes its idle connections. Droplet calls this
 * when a reply is broken or has a status of 5xx.
 *
 * If `host` is the `host` field of a connection in use, the same pointer, the call is about that connection. It is
 * closed when it is given back. If its reply was complete, the idle connections of the host stay open. If it was
 * reused and nothing came back on it, the host is not blacklisted: the host had closed the connection while it was
 * idle.
 *
 * If `host` is neither the name of a host in the profile nor `BUCKET.HOST` of one that connections were made to nor a
 * literal address, it is looked up, which takes `conn_timeout` seconds at most. If that is negative, or with
 * `DPLX_LOOK_UP=caller` in the environment, it takes as long as the resolver does.
 *
 * @param ctx the context
 * @param host the host: its name in the profile, `BUCKET.HOST`, any name that leads to its address, or the `host`
 *        field of a connection in use
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
