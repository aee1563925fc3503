/*
 * The part of Droplet's interface that surrounds its connection subsystem,
 * written from the ABI tables. -DDROPLET_LAYOUT_BAREOS chooses the context
 * layout of Droplet as Bareos carried it, otherwise it is that of Droplet 3.0,
 * which layout-3.0.h has in its revisions.
 */
#ifndef DROPLET_H
#define DROPLET_H
#define __DROPLET_H__ /* what tells droplet_conn.h that the types are there */

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#define DROPLET_ASSERT static_assert
#else
#define DROPLET_ASSERT _Static_assert
#endif

/* ---- values ------------------------------------------------------------------------ */

typedef enum {
    DPL_SUCCESS = 0,
    DPL_FAILURE = -1,
    DPL_ENOENT = -2,
    DPL_EINVAL = -3,
    DPL_ETIMEOUT = -4,
    DPL_ENOMEM = -5,
    DPL_ESYS = -6,
    DPL_EIO = -7,
    DPL_ELIMIT = -8,
    DPL_ENAMETOOLONG = -9,
    DPL_ENOTDIR = -10,
    DPL_ENOTEMPTY = -11,
    DPL_EISDIR = -12,
    DPL_EEXIST = -13,
    DPL_ENOTSUPP = -14,
    DPL_EREDIRECT = -15,
    DPL_ETOOMANYREDIR = -16,
    DPL_ECONNECT = -17,
    DPL_EPERM = -18,
    DPL_EPRECOND = -19,
    DPL_ECONFLICT = -20,
    DPL_ERANGEUNAVAIL = -21,
} dpl_status_t;

typedef enum { DPL_DEBUG, DPL_INFO, DPL_WARNING, DPL_ERROR } dpl_log_level_t;

typedef enum { DPL_CONN_TYPE_HTTP = 0, DPL_CONN_TYPE_FILE = 1 } dpl_conn_type_t;

typedef enum {
    DPL_BEHAVIOR_MD5 = 1,
    DPL_BEHAVIOR_EXPECT = 2,
    DPL_BEHAVIOR_VIRTUAL_HOSTING = 4,
    DPL_BEHAVIOR_KEEP_ALIVE = 8,
} dpl_behavior_flag_t;

typedef enum {
    DPL_METHOD_GET,
    DPL_METHOD_PUT,
    DPL_METHOD_DELETE,
    DPL_METHOD_HEAD,
    DPL_METHOD_POST,
} dpl_method_t;

/* Enumerations whose members these programs never name. */
typedef unsigned int dpl_ftype_t;
typedef unsigned int dpl_location_constraint_t;
typedef unsigned int dpl_canned_acl_t;
typedef unsigned int dpl_condition_type_t;
typedef unsigned int dpl_storage_class_t;
typedef unsigned int dpl_copy_directive_t;

/* Bits of ctx->trace_level. */
#define DPL_TRACE_ERR 1u
#define DPL_TRACE_WARN 2u
#define DPL_TRACE_CONN 4u
#define DPL_TRACE_IO 8u
#define DPL_TRACE_HTTP 16u
#define DPL_TRACE_SSL 32u
#define DPL_TRACE_REQ 64u
#define DPL_TRACE_REST 128u

#define DPL_DEFAULT_N_CONN_BUCKETS 1021
#define DPL_DEFAULT_N_CONN_MAX 900
#define DPL_DEFAULT_N_CONN_MAX_HITS 50
#define DPL_DEFAULT_CONN_IDLE_TIME 100
#define DPL_DEFAULT_CONN_TIMEOUT 5
#define DPL_DEFAULT_READ_TIMEOUT 30
#define DPL_DEFAULT_WRITE_TIMEOUT 30
#define DPL_DEFAULT_BLACKLIST_EXPIRETIME 10
#define DPL_DEFAULT_READ_BUF_SIZE 8192
#define DPL_DEFAULT_HEADER_SIZE 8192
#define DPL_DEFAULT_MAX_REDIRECTS 10
#define DPL_DEFAULT_ENTERPRISE_NUMBER 37489
#define DPL_DEFAULT_AWS_AUTH_SIGN_VERSION 4
#define DPL_DEFAULT_AWS_REGION "us-east-1"
#define DPL_DEFAULT_BASE_PATH "/"
#define DPL_DEFAULT_SSL_CIPHER_LIST \
    "ALL:-aNULL:!LOW:!MEDIUM:!RC2:!3DES:!MD5:!DSS:!SEED:!RC4:@STRENGTH"

#define DPL_MAXPATHLEN 4096
#define DPL_ADDR_IDENT_STRLEN 53

/* ---- structures -------------------------------------------------------------------- */

typedef struct dpl_ctx dpl_ctx_t;
typedef struct dpl_conn dpl_conn_t;
typedef struct dpl_addr dpl_addr_t;
typedef struct dpl_addrlist dpl_addrlist_t;
typedef struct dpl_dict dpl_dict_t;

typedef dpl_status_t (*dpl_header_func_t)(void *cb_arg, const char *header, const char *value);
typedef dpl_status_t (*dpl_buffer_func_t)(void *cb_arg, char *buf, unsigned int len);
typedef struct dpl_vec dpl_vec_t;

typedef void (*dpl_log_func_t)(dpl_ctx_t *, dpl_log_level_t, const char *message);
typedef void (*dpl_trace_func_t)(pid_t tid, unsigned level, const char *file, const char *func,
                                 int line, char *message);

struct dpl_hash_info {
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } addr;
    u_short port;
};

struct dpl_addr {
    char *host;
    char *portstr;
    char *hbuf;
    struct hostent *h;
    u_short port;
    time_t blacklist_expire_timestamp; /* 0: never, -1: for good */
    LIST_ENTRY(dpl_addr) list;
};

LIST_HEAD(dpl_addrs, dpl_addr);

struct dpl_addrlist {
    struct dpl_addrs addr_list;
    char *default_port;
    pthread_mutex_t lock;
};

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
    time_t close_time;
    unsigned int n_hits;
    size_t read_buf_size;
    char *read_buf;
    int read_buf_pos; /* from here on the reply reader's own */
    int block_size;
    int max_blocks;
    ssize_t cc;
    dpl_status_t status;
    int eof;
    SSL *ssl;
    BIO *bio;
};

#ifdef DROPLET_LAYOUT_BAREOS
#include "layout-bareos.h"
#else
#include "layout-3.0.h"
#endif

typedef struct {
    dpl_condition_type_t type;
    union {
        uint64_t opaque[9];
    } operand;
} dpl_condition_one_t;

typedef struct {
    int n_conds;
    dpl_condition_one_t conds[10];
} dpl_condition_t;

typedef struct {
    uint64_t start;
    uint64_t end;
} dpl_range_t;

typedef struct {
    dpl_ctx_t *ctx;
    char *host;
    char *port;
    dpl_behavior_flag_t behavior_flags;
    dpl_method_t method;
    char *bucket;
    char *resource;
    char *subresource;
    char *cache_control;
    char *content_disposition;
    char *content_encoding;
    dpl_ftype_t object_type;
    char *content_type;
    dpl_location_constraint_t location_constraint;
    dpl_canned_acl_t canned_acl;
    dpl_condition_t condition;
    dpl_storage_class_t storage_class;
    dpl_dict_t *metadata;
    const char *data_buf;
    u_int data_len;
    int data_enabled;
    dpl_range_t range;
    int range_enabled;
    time_t expires;
    char *src_bucket;
    char *src_resource;
    char *src_subresource;
    dpl_copy_directive_t copy_directive;
    dpl_condition_t copy_source_condition;
} dpl_req_t;

#define DROPLET_AT(type, member, at) \
    DROPLET_ASSERT(offsetof(type, member) == (at), #type "." #member)

DROPLET_ASSERT(sizeof(struct dpl_hash_info) == 20, "dpl_hash_info");
DROPLET_ASSERT(sizeof(dpl_addr_t) == 64, "dpl_addr");
DROPLET_AT(dpl_addr_t, h, 24);
DROPLET_AT(dpl_addr_t, blacklist_expire_timestamp, 40);
DROPLET_AT(dpl_addr_t, list, 48);
DROPLET_ASSERT(sizeof(dpl_addrlist_t) == 16 + sizeof(pthread_mutex_t), "dpl_addrlist");
DROPLET_AT(dpl_addrlist_t, lock, 16);
DROPLET_ASSERT(sizeof(dpl_conn_t) == 168, "dpl_conn");
DROPLET_AT(dpl_conn_t, hash_info, 32);
DROPLET_AT(dpl_conn_t, host, 56);
DROPLET_AT(dpl_conn_t, fd, 72);
DROPLET_AT(dpl_conn_t, n_hits, 96);
DROPLET_AT(dpl_conn_t, read_buf, 112);
DROPLET_AT(dpl_conn_t, cc, 136);
DROPLET_AT(dpl_conn_t, eof, 148);
DROPLET_AT(dpl_conn_t, ssl, 152);
DROPLET_ASSERT(sizeof(dpl_condition_t) == 808, "dpl_condition_t");
DROPLET_ASSERT(sizeof(dpl_req_t) == 1816, "dpl_req_t");
DROPLET_AT(dpl_req_t, behavior_flags, 24);
DROPLET_AT(dpl_req_t, bucket, 32);
DROPLET_AT(dpl_req_t, data_buf, 928);
DROPLET_AT(dpl_req_t, copy_source_condition, 1008);

/* ---- the connection subsystem: what the replacement provides ----------------------- */

extern dpl_ctx_t *dpl_default_conn_ctx;

dpl_status_t dpl_conn_pool_init(dpl_ctx_t *ctx);
void dpl_conn_pool_destroy(dpl_ctx_t *ctx);
dpl_status_t dpl_try_connect(dpl_ctx_t *ctx, dpl_req_t *req, dpl_conn_t **connp);
dpl_conn_t *dpl_conn_open_host(dpl_ctx_t *ctx, int af, const char *host, const char *port);
dpl_conn_t *dpl_conn_open_file(dpl_ctx_t *ctx, int fd);
void dpl_conn_release(dpl_conn_t *conn);
void dpl_conn_terminate(dpl_conn_t *conn);
dpl_status_t dpl_conn_writev_all(dpl_conn_t *conn, struct iovec *iov, int n_iov, int timeout);
void dpl_blacklist_host(dpl_ctx_t *ctx, const char *host, const char *port);

dpl_addrlist_t *dpl_addrlist_create(const char *default_port);
dpl_addrlist_t *dpl_addrlist_create_from_str(const char *default_port, const char *hosts);
void dpl_addrlist_free(dpl_addrlist_t *list);
void dpl_addrlist_lock(dpl_addrlist_t *list);
void dpl_addrlist_unlock(dpl_addrlist_t *list);
dpl_status_t dpl_addrlist_add(dpl_addrlist_t *list, const char *host, const char *port);
dpl_status_t dpl_addrlist_add_from_str(dpl_addrlist_t *list, const char *hosts);
dpl_status_t dpl_addrlist_set_from_str(dpl_addrlist_t *list, const char *hosts);
char *dpl_addrlist_get(dpl_addrlist_t *list);
u_int dpl_addrlist_count(dpl_addrlist_t *list);
dpl_status_t dpl_addrlist_get_nth(dpl_addrlist_t *list, int n, dpl_addr_t **addrp);
dpl_status_t dpl_addrlist_get_rand(dpl_addrlist_t *list, dpl_addr_t **addrp);
dpl_status_t dpl_addrlist_blacklist(dpl_addrlist_t *list, const char *host, const char *port,
                                    time_t expiretime);
dpl_status_t dpl_addrlist_unblacklist(dpl_addrlist_t *list, const char *host, const char *port);
char *dpl_addr_get_ident(struct hostent *h, unsigned short port, char *ident, size_t size);

/* These are for a caller that holds dpl_addrlist_lock(). */
void dpl_addrlist_add_nolock(dpl_addrlist_t *list, dpl_addr_t *addr);
void dpl_addrlist_remove_nolock(dpl_addrlist_t *list, dpl_addr_t *addr);
void dpl_addrlist_clear_nolock(dpl_addrlist_t *list);
u_int dpl_addrlist_count_nolock(dpl_addrlist_t *list);
u_int dpl_addrlist_count_avail_nolock(dpl_addrlist_t *list);
dpl_status_t dpl_addrlist_refresh_blacklist_nolock(dpl_addrlist_t *list);
dpl_addr_t *dpl_addrlist_get_byip_nolock(dpl_addrlist_t *list, struct hostent *h, u_short port);
dpl_addr_t *dpl_addrlist_get_byname_nolock(dpl_addrlist_t *list, const char *host,
                                           const char *port);

/* ---- what surrounds it: provided by the host --------------------------------------- */

dpl_status_t dpl_init(void);
void dpl_free(void);
dpl_ctx_t *dpl_ctx_new(const char *droplet_dir, const char *profile_name);
void dpl_ctx_free(dpl_ctx_t *ctx);
void dpl_ctx_lock(dpl_ctx_t *ctx);
void dpl_ctx_unlock(dpl_ctx_t *ctx);

dpl_status_t dpl_profile_default(dpl_ctx_t *ctx);
dpl_status_t dpl_profile_load(dpl_ctx_t *ctx, const char *droplet_dir, const char *profile_name);
dpl_status_t dpl_profile_post(dpl_ctx_t *ctx);
void dpl_profile_free(dpl_ctx_t *ctx);

void dpl_set_log_func(dpl_log_func_t func);
dpl_status_t dpl_log(dpl_ctx_t *ctx, dpl_log_level_t level, const char *file, const char *func,
                     int line, const char *format, ...) __attribute__((format(printf, 6, 7)));
void dpl_trace(dpl_ctx_t *ctx, unsigned int level, const char *file, const char *func, int line,
               const char *format, ...) __attribute__((format(printf, 6, 7)));
void dpl_ssl_perror(dpl_ctx_t *ctx, const char *file, const char *func, int line, const char *text);

dpl_req_t *dpl_req_new(dpl_ctx_t *ctx);
void dpl_req_free(dpl_req_t *req);
dpl_status_t dpl_req_set_bucket(dpl_req_t *req, const char *bucket);
dpl_status_t dpl_req_set_resource(dpl_req_t *req, const char *resource);
dpl_status_t dpl_req_set_host(dpl_req_t *req, const char *host);
dpl_status_t dpl_req_set_port(dpl_req_t *req, const char *port);
dpl_status_t dpl_req_add_metadatum(dpl_req_t *req, const char *key, const char *value);
void dpl_req_add_behavior(dpl_req_t *req, unsigned int flags);
void dpl_req_rm_behavior(dpl_req_t *req, unsigned int flags);

dpl_dict_t *dpl_dict_new(int n_buckets);
void dpl_dict_free(dpl_dict_t *dict);
dpl_status_t dpl_dict_add(dpl_dict_t *dict, const char *key, const char *value, int lowered);
char *dpl_dict_get_value(const dpl_dict_t *dict, const char *key);
int dpl_dict_count(const dpl_dict_t *dict);

/* Of the units that are replaced, the host has one function to fall back on: its own reader of replies. For it headersp
 * must be NULL, and *datap ends in a NUL beyond *lenp. */
dpl_status_t dpl_read_http_reply(dpl_conn_t *conn, int expect_data, char **datap,
                                 unsigned int *lenp, dpl_dict_t **headersp, int *connection_closep);
dpl_status_t dpl_read_http_reply_ext(dpl_conn_t *conn, int expect_data, int buffer_provided,
                                     char **datap, unsigned int *lenp, dpl_dict_t **headersp,
                                     int *connection_closep);
dpl_status_t dpl_read_http_reply_buffered(dpl_conn_t *conn, int expect_data, int *http_statusp,
                                          dpl_header_func_t header_func,
                                          dpl_buffer_func_t buffer_func, void *cb_arg);
dpl_status_t dpl_map_http_status(int http_status);
int dpl_connection_close(dpl_dict_t *headers);
char *dpl_location(dpl_dict_t *headers);

/* One whole request, as a program wants it; of Droplet's arguments, those that this host heeds. */
dpl_status_t dpl_put(dpl_ctx_t *ctx, const char *bucket, const char *path, const char *data,
                     unsigned int len);

#ifdef __cplusplus
}
#endif

#endif
