/* Requests. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_REQ_H__
#define __DROPLET_REQ_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a request: a GET with virtual hosting that keeps connections open.
 *
 * @param ctx the context, which must outlive the request
 * @return the request, to be freed with dpl_req_free(); NULL if memory is out
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_req_t *dpl_req_new(dpl_ctx_t *ctx);

/**
 * Frees a request with its strings and metadata. The data to send are not freed. Requests from dplx_req_new() are
 * freed too.
 *
 * @param req the request; NULL has no effect
 *
 * @pre `req` is NULL or a request that is not used any more.
 */
void dpl_req_free(dpl_req_t *req);

/**
 * Sets the resource, a path below the context's `base_path`. "", NULL and `/` mean the base path itself, but not `/`
 * if the context has `preserve_root_path`.
 *
 * @param req the request
 * @param resource the resource, not percent-encoded
 * @return DPL_SUCCESS; DPL_EINVAL if the request is NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `resource` is NULL or a string.
 */
dpl_status_t dpl_req_set_resource(dpl_req_t *req,
                                  const char *resource);

/**
 * Sets the resource to copy from, a path below the context's `base_path`.
 *
 * @param req the request
 * @param src_resource the resource
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre As for dpl_req_set_src_resource_ext().
 */
dpl_status_t dpl_req_set_src_resource(dpl_req_t *req, const char *src_resource);

/**
 * Sets the resource to copy from.
 *
 * @param req the request
 * @param src_resource the resource
 * @param add_base_path 0 to take it as it is, else it is a path below the context's `base_path`
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `src_resource` is NULL or a string.
 */
dpl_status_t dpl_req_set_src_resource_ext(dpl_req_t *req,
                                          const char *src_resource,
                                          int add_base_path);

/**
 * Adds a text to the subresource. A semicolon separates it from the subresource that is set already.
 *
 * @param req the request
 * @param subresource the text
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `subresource` is NULL or a string.
 */
dpl_status_t dpl_req_add_subresource(dpl_req_t *req,
                                     const char *subresource);

/**
 * Switches behaviors on.
 *
 * @param req the request; NULL has no effect
 * @param flags bits of DPL_BEHAVIOR_*
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_add_behavior(dpl_req_t *req, unsigned int flags);

/**
 * Switches behaviors off.
 *
 * @param req the request; NULL has no effect
 * @param flags bits of DPL_BEHAVIOR_*
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_rm_behavior(dpl_req_t *req, unsigned int flags);

/**
 * Sets the data to send.
 *
 * @param req the request; NULL has no effect
 * @param data_buf the data, which the caller keeps and which must outlive the request
 * @param data_len their length in bytes
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_data(dpl_req_t *req, const char *data_buf, unsigned int data_len);

/**
 * Sets the range of bytes. It replaces the range that was set before.
 *
 * @param req the request
 * @param start the first byte, counted from 0; DPL_UNDEF for the last `end` bytes
 * @param end the last byte; DPL_UNDEF for all bytes from `start` on
 * @return DPL_SUCCESS; DPL_EINVAL for NULL
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
dpl_status_t dpl_req_add_range(dpl_req_t *req, uint64_t start, uint64_t end);

/**
 * Sets the conditions that the object must meet.
 *
 * @param req the request; NULL has no effect
 * @param condition the conditions, which are copied; NULL has no effect
 *
 * @pre `req` is NULL or a request that only the caller uses; `condition` is NULL or valid.
 */
void dpl_req_set_condition(dpl_req_t *req, const dpl_condition_t *condition);

/**
 * Sets the conditions that the object to copy from must meet.
 *
 * @param req the request; NULL has no effect
 * @param condition the conditions, which are copied; NULL has no effect
 *
 * @pre As for dpl_req_set_condition().
 */
void dpl_req_set_copy_source_condition(dpl_req_t *req, const dpl_condition_t *condition);

/**
 * Sets one entry of the metadata.
 *
 * @param req the request
 * @param key the name
 * @param value the value
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `key` and `value` are NULL or strings.
 */
dpl_status_t dpl_req_add_metadatum(dpl_req_t *req, const char *key, const char *value);

/**
 * Sets entries of the metadata.
 *
 * @param req the request
 * @param metadata the names and values, which are copied; NULL for none
 * @return DPL_SUCCESS; DPL_EINVAL if the request is NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `metadata` is NULL or a dictionary.
 */
dpl_status_t dpl_req_add_metadata(dpl_req_t *req, const dpl_dict_t *metadata);

/**
 * Sets the host, for the field `Host`. dpl_try_connect() sets it too.
 *
 * @param req the request
 * @param host the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `host` is NULL or a string.
 */
dpl_status_t dpl_req_set_host(dpl_req_t *req, const char *host);

/**
 * Sets the port, for the field `Host`. dpl_try_connect() sets it too.
 *
 * @param req the request
 * @param port the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `port` is NULL or a string.
 */
dpl_status_t dpl_req_set_port(dpl_req_t *req, const char *port);

/**
 * Sets the bucket. With virtual hosting, the connection is made to `BUCKET.HOST`.
 *
 * @param req the request
 * @param bucket the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `bucket` is NULL or a string.
 */
dpl_status_t dpl_req_set_bucket(dpl_req_t *req, const char *bucket);

/**
 * Sets the subresource, the beginning of the query.
 *
 * @param req the request
 * @param subresource the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `subresource` is NULL or a string.
 */
dpl_status_t dpl_req_set_subresource(dpl_req_t *req, const char *subresource);

/**
 * Sets the value of `Cache-Control`.
 *
 * @param req the request
 * @param cache_control the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `cache_control` is NULL or a string.
 */
dpl_status_t dpl_req_set_cache_control(dpl_req_t *req, const char *cache_control);

/**
 * Sets the value of `Content-Disposition`.
 *
 * @param req the request
 * @param content_disposition the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `content_disposition` is NULL or a string.
 */
dpl_status_t dpl_req_set_content_disposition(dpl_req_t *req, const char *content_disposition);

/**
 * Sets the value of `Content-Encoding`.
 *
 * @param req the request
 * @param content_encoding the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `content_encoding` is NULL or a string.
 */
dpl_status_t dpl_req_set_content_encoding(dpl_req_t *req, const char *content_encoding);

/**
 * Sets the value of `Content-Type`.
 *
 * @param req the request
 * @param content_type the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `content_type` is NULL or a string.
 */
dpl_status_t dpl_req_set_content_type(dpl_req_t *req, const char *content_type);

/**
 * Sets the bucket to copy from.
 *
 * @param req the request
 * @param src_bucket the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `src_bucket` is NULL or a string.
 */
dpl_status_t dpl_req_set_src_bucket(dpl_req_t *req, const char *src_bucket);

/**
 * Sets the subresource to copy from.
 *
 * @param req the request
 * @param src_subresource the string, which is copied
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `req` is NULL or a request that only the caller uses; `src_subresource` is NULL or a string.
 */
dpl_status_t dpl_req_set_src_subresource(dpl_req_t *req, const char *src_subresource);

/**
 * Sets the method.
 *
 * @param req the request; NULL has no effect
 * @param method the method
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_method(dpl_req_t *req, dpl_method_t method);

/**
 * Sets the location of a new bucket.
 *
 * @param req the request; NULL has no effect
 * @param location_constraint the location
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_location_constraint(dpl_req_t *req, dpl_location_constraint_t location_constraint);

/**
 * Sets the access control list, one of the predefined lists.
 *
 * @param req the request; NULL has no effect
 * @param canned_acl the list
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_canned_acl(dpl_req_t *req, dpl_canned_acl_t canned_acl);

/**
 * Sets the storage class.
 *
 * @param req the request; NULL has no effect
 * @param storage_class the storage class
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_storage_class(dpl_req_t *req, dpl_storage_class_t storage_class);

/**
 * Sets the time at which a signed URL expires.
 *
 * @param req the request; NULL has no effect
 * @param expires the time
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_expires(dpl_req_t *req, time_t expires);

/**
 * Sets the kind of copy.
 *
 * @param req the request; NULL has no effect
 * @param copy_directive the kind
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
void dpl_req_set_copy_directive(dpl_req_t *req, dpl_copy_directive_t copy_directive);

/**
 * Sets the kind of object.
 *
 * @param req the request
 * @param object_type the kind
 * @return DPL_SUCCESS; DPL_EINVAL for NULL
 *
 * @pre `req` is NULL or a request that only the caller uses.
 */
dpl_status_t dpl_req_set_object_type(dpl_req_t *req, dpl_ftype_t object_type);

#ifdef __cplusplus
}
#endif

#endif
