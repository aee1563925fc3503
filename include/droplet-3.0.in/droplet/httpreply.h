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

@functions src/exports/httpreply/mod.rs

#ifdef __cplusplus
}
#endif

#endif
