/* The head of a request, as HTTP sends it. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_HTTPREQUEST_H__
#define __DROPLET_HTTPREQUEST_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Sets the field `Host` to the host and port of a request. A port of 80 is left out. Without a host nothing is
 * set.
 *
 * @param req the request, whose host and port dpl_try_connect() has set
 * @param headers the fields
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request; `headers` is NULL or a dictionary that only the caller uses.
 */
dpl_status_t dpl_add_host_to_headers(dpl_req_t *req,
                                     dpl_dict_t *headers);

/**
 * Sets the field `Range`.
 *
 * @param range the first and the last byte. If `start` is DPL_UNDEF, the range is the last `end` bytes; if `end` is
 *        DPL_UNDEF, it is all bytes from `start` on
 * @param headers the fields
 * @return DPL_SUCCESS; DPL_EINVAL for NULL, or if both are DPL_UNDEF; DPL_ENOMEM
 *
 * @pre `range` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses.
 */
dpl_status_t dpl_add_range_to_headers(const dpl_range_t *range,
                                      dpl_dict_t *headers);

/**
 * Sets the field `Content-Range`, and is otherwise like dpl_add_range_to_headers().
 *
 * @param range the range
 * @param headers the fields
 * @return the same as dpl_add_range_to_headers()
 *
 * @pre As for dpl_add_range_to_headers().
 */
dpl_status_t dpl_add_content_range_to_headers(const dpl_range_t *range, dpl_dict_t *headers);

/**
 * Sets a field of any name to a range, and is otherwise like dpl_add_range_to_headers().
 *
 * @param range the range
 * @param field the name of the field
 * @param headers the fields
 * @return the same as dpl_add_range_to_headers()
 *
 * @pre As for dpl_add_range_to_headers(); `field` is NULL or a string.
 */
dpl_status_t dpl_add_range_to_headers_internal(const dpl_range_t *range,
                                               const char *field,
                                               dpl_dict_t *headers);

/**
 * Sets the field of each condition: `If-Modified-Since`, `If-Unmodified-Since`, `If-Match` or `If-None-Match`.
 * An etag is not quoted.
 *
 * @param condition the conditions
 * @param headers the fields
 * @return DPL_SUCCESS; DPL_EINVAL for NULL, more than DPL_COND_MAX conditions, or a time that gmtime(3) refuses;
 *         DPL_ENOMEM
 *
 * @pre `condition` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses.
 */
dpl_status_t dpl_add_condition_to_headers(const dpl_condition_t *condition,
                                          dpl_dict_t *headers);

/**
 * Sets the field `Authorization` to the context's `access_key` and `secret_key` (RFC 7617). Unless the context has
 * both, nothing is set.
 *
 * @param req a request of the context
 * @param headers the fields
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request; `headers` is NULL or a dictionary that only the caller uses.
 */
dpl_status_t dpl_add_basic_authorization_to_headers(const dpl_req_t *req,
                                                    dpl_dict_t *headers);

/**
 * Writes the head of a request: the request line and the fields, without the empty line that ends it.
 *
 * @param ctx the context; its `url_encoding` and `encode_slashes` say how the resource is encoded
 * @param req the request; its method, resource and subresource are used
 * @param headers the fields, in the order of dpl_dict_iterate(); NULL for none
 * @param query_params the parameters of the query, which are not encoded; NULL for none. An empty dictionary is an
 *        empty query, `?`
 * @param buf receives the text, without a NUL at its end
 * @param len the size of `buf` in bytes
 * @param lenp receives the length of the text; may be NULL. Unchanged on error
 * @return DPL_SUCCESS; DPL_FAILURE if `buf` is too small; DPL_EINVAL for NULL, an unknown method, a value that is
 *         not a string, or text with a line end in it
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or a request; `headers` and `query_params` are NULL
 * or dictionaries; `buf` is NULL or has room for `len` bytes; `lenp` is NULL or writable.
 */
dpl_status_t dpl_req_gen_http_request(dpl_ctx_t *ctx,
                                      dpl_req_t *req,
                                      const dpl_dict_t *headers,
                                      const dpl_dict_t *query_params,
                                      char *buf,
                                      int len,
                                      unsigned int *lenp);

#ifdef __cplusplus
}
#endif

#endif
