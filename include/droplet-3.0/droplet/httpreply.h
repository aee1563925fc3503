/* Replies of HTTP. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_HTTPREPLY_H__
#define __DROPLET_HTTPREPLY_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Statuses of a reply that are told from one another. */
typedef enum {
    DPL_HTTP_CODE_CONTINUE = 100,
    DPL_HTTP_CODE_OK = 200,
    DPL_HTTP_CODE_CREATED = 201,
    DPL_HTTP_CODE_NO_CONTENT = 204,
    DPL_HTTP_CODE_PARTIAL_CONTENT = 206,
    DPL_HTTP_CODE_REDIR_MOVED_PERM = 301,
    DPL_HTTP_CODE_REDIR_FOUND = 302,
    DPL_HTTP_CODE_FORBIDDEN = 403,
    DPL_HTTP_CODE_NOT_FOUND = 404,
    DPL_HTTP_CODE_CONFLICT = 409,
    DPL_HTTP_CODE_PRECOND_FAILED = 412,
    DPL_HTTP_CODE_RANGE_UNAVAIL = 416
} dpl_http_code_t;

#define DPL_HTTP_VERSION_1_0 0
#define DPL_HTTP_VERSION_1_1 1

/** A reply's first line. No function takes it. */
struct dpl_http_reply {
    int version; /**< DPL_HTTP_VERSION_1_0 or DPL_HTTP_VERSION_1_1 */
    dpl_http_code_t code;
    char *descr_start;
    char *descr_end;
};

/** Gets each field of a reply's header. Anything but DPL_SUCCESS ends the reading. */
typedef dpl_status_t (*dpl_header_func_t)(void *cb_arg, const char *header, const char *value);

/** Gets each piece of a reply's body. Anything but DPL_SUCCESS ends the reading. */
typedef dpl_status_t (*dpl_buffer_func_t)(void *cb_arg, char *buf, unsigned int len);

/**
 * Reads a reply, and passes it on while it is received. A line of the head that is not a field is skipped. Bytes after
 * the reply and before the next request are dropped, and the connection is closed when it is released. So it is after a
 * reply that says `Connection: close`, or whose body ends with the connection.
 *
 * @param conn the connection. After an error nothing more can be written on it, and it is closed when it is
 *        released
 * @param expect_data 0 for the reply to a HEAD, which has no body although its head may say so
 * @param http_statusp receives the status; may be NULL. Unchanged on error
 * @param header_func called for each field, except for `Connection`, `Transfer-Encoding`, and for `Content-Length`
 *        unless `expect_data` is 0; may be NULL
 * @param buffer_func called for each piece of the body, in a buffer that it may change. If it is NULL, the body is
 *        dropped, and one that ends with the connection is not waited for
 * @param cb_arg passed to both functions, which may use other connections, but not this one, and must return: no longjmp()
 *        and no exception may leave them
 * @return DPL_SUCCESS for any status of HTTP; DPL_EINVAL for NULL; DPL_FAILURE if there is no reply, it is
 *         malformed or late, or a function did not return DPL_SUCCESS
 *
 * @pre `conn` is NULL or came from a function of this library; `http_statusp` is NULL or writable; the functions
 * are NULL or take `cb_arg`.
 */
dpl_status_t dpl_read_http_reply_buffered(dpl_conn_t *conn,
                                          int expect_data,
                                          int *http_statusp,
                                          dpl_header_func_t header_func,
                                          dpl_buffer_func_t buffer_func,
                                          void *cb_arg);

/**
 * Reads a reply into memory. If there is none, or its status is 5xx, the host is blacklisted as by
 * dpl_blacklist_host(): a reused connection that the peer had only closed does not count.
 *
 * @param conn the connection
 * @param expect_data 0 for the reply to a HEAD
 * @param buffer_provided 0 if the caller frees the body with free(). Otherwise the body is stored in the buffer
 *        `*data_bufp`, which has room for `*data_lenp` bytes, and the rest is dropped
 * @param data_bufp receives the body, or NULL if there is none. NULL to drop it: one that ends with the connection is
 *        then not waited for
 * @param data_lenp receives its length in bytes; may be NULL
 * @param headersp receives the fields, as in dpl_read_http_reply_buffered(), with names in lower case; to be
 *        freed with dpl_dict_free(). May be NULL
 * @param connection_closep receives 1 if the connection is to be closed with dpl_conn_terminate(), else 0; may
 *        be NULL
 * @return the result of dpl_map_http_status() for the status; DPL_FAILURE if there is no complete reply, DPL_ENOMEM if
 *         memory runs out, DPL_ELIMIT if the body is longer than `*data_lenp` can say: the part that came is still
 *         stored; DPL_ENOTSUPP if there is no Droplet in the process whose dictionary could hold the fields; DPL_EINVAL
 *         for NULL, and nothing is stored
 *
 * @pre `conn` is NULL or came from a function of this library; the pointers to results are NULL or writable. If
 * `buffer_provided` is not 0, `*data_bufp` has room for `*data_lenp` bytes.
 */
dpl_status_t dpl_read_http_reply_ext(dpl_conn_t *conn,
                                     int expect_data,
                                     int buffer_provided,
                                     char **data_bufp,
                                     unsigned int *data_lenp,
                                     dpl_dict_t **headersp,
                                     int *connection_closep);

/**
 * Reads a reply into memory that the caller frees. It is dpl_read_http_reply_ext() without a buffer of the caller's.
 *
 * @param conn the connection
 * @param expect_data 0 for the reply to a HEAD
 * @param data_bufp receives the body, to be freed with free(), or NULL if there is none; NULL to drop it
 * @param data_lenp receives its length in bytes
 * @param headersp as in dpl_read_http_reply_ext()
 * @param connection_closep as in dpl_read_http_reply_ext()
 * @return the same as dpl_read_http_reply_ext()
 *
 * @pre As for dpl_read_http_reply_ext().
 */
dpl_status_t dpl_read_http_reply(dpl_conn_t *conn,
                                 int expect_data,
                                 char **data_bufp,
                                 unsigned int *data_lenp,
                                 dpl_dict_t **headersp,
                                 int *connection_closep);

/**
 * Returns the status for a status of HTTP.
 *
 * @param http_status the status of HTTP
 * @return DPL_SUCCESS for 100, 200, 201, 204 and 206; DPL_EREDIRECT for 301 and 302; DPL_EPERM for 403,
 *         DPL_ENOENT for 404, DPL_ECONFLICT for 409, DPL_EPRECOND for 412, DPL_ERANGEUNAVAIL for 416;
 *         DPL_FAILURE for all others
 */
dpl_status_t dpl_map_http_status(int http_status);

/**
 * Returns whether these fields say that the reply is the last one of its connection. What dpl_read_http_reply() stores
 * never says so, as in the original: a connection whose reply was the last is closed when it is released.
 *
 * @param headers_returned the fields, with names in lower case
 * @return 1 if `connection` has `close` among its options, or for NULL; else 0
 *
 * @pre `headers_returned` is NULL or a dictionary of strings.
 */
int dpl_connection_close(dpl_dict_t *headers_returned);

/**
 * Returns the location in the fields of a reply.
 *
 * @param headers_returned the fields, as dpl_read_http_reply() stores them
 * @return the value of `location`, which the dictionary owns; NULL if there is none, or for NULL
 *
 * @pre `headers_returned` is NULL or a dictionary of strings.
 */
char *dpl_location(dpl_dict_t *headers_returned);

#ifdef __cplusplus
}
#endif

#endif
