/*
 * Droplet 3.0, as far as droplet-conn provides it: contexts, connections, requests, replies, dictionaries.
 *
 * Generated from include/droplet-3.0.in and the Rust source; do not edit.
 *
 * Link with -ldroplet (pkg-config droplet-3.0). What holds for all functions is said in <droplet_conn.h>,
 * which can be included as well and declares the functions named dplx_.
 */
#ifndef __DROPLET_H__
#define __DROPLET_H__ 1

#define DPL_VERSION_MAJOR 3
#define DPL_VERSION_MINOR 0

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/md5.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a profile need not say. */
#define DPL_DEFAULT_HEADER_SIZE 8192
#define DPL_DEFAULT_N_CONN_BUCKETS 1021
#define DPL_DEFAULT_N_CONN_MAX 900
#define DPL_DEFAULT_N_CONN_MAX_HITS 50
#define DPL_DEFAULT_CONN_IDLE_TIME 100
#define DPL_DEFAULT_CONN_TIMEOUT 5
#define DPL_DEFAULT_READ_TIMEOUT 30
#define DPL_DEFAULT_WRITE_TIMEOUT 30
#define DPL_DEFAULT_READ_BUF_SIZE 8192
#define DPL_DEFAULT_MAX_REDIRECTS 10
#define DPL_DEFAULT_AWS_AUTH_SIGN_VERSION 4
#define DPL_DEFAULT_AWS_REGION "us-east-1"
#define DPL_DEFAULT_SSL_METHOD SSLv23_method()
#define DPL_DEFAULT_SSL_CIPHER_LIST \
    "ALL:-aNULL:!LOW:!MEDIUM:!RC2:!3DES:!MD5:!DSS:!SEED:!RC4:@STRENGTH"
#define DPL_DEFAULT_SSL_COMP_NONE 0
#define DPL_DEFAULT_SSL_CERT_VERIF 1
#define DPL_DEFAULT_BASE_PATH "/"
#define DPL_DEFAULT_ENTERPRISE_NUMBER 37489

#define DPL_MAXPATHLEN 4096
#define DPL_MAXNAMLEN 255

/** What a call ended with. */
typedef enum {
    DPL_SUCCESS = 0,
    DPL_FAILURE = -1,         /**< the peer or the network failed, or no host is left */
    DPL_ENOENT = -2,          /**< no such entry */
    DPL_EINVAL = -3,          /**< an argument that no call can work with */
    DPL_ETIMEOUT = -4,        /**< the peer took too long */
    DPL_ENOMEM = -5,          /**< out of memory */
    DPL_ESYS = -6,            /**< the local system refused */
    DPL_EIO = -7,             /**< input or output failed */
    DPL_ELIMIT = -8,          /**< a limit is reached */
    DPL_ENAMETOOLONG = -9,    /**< a name is too long */
    DPL_ENOTDIR = -10,        /**< no directory */
    DPL_ENOTEMPTY = -11,      /**< a directory that is not empty */
    DPL_EISDIR = -12,         /**< a directory */
    DPL_EEXIST = -13,         /**< it exists already */
    DPL_ENOTSUPP = -14,       /**< not supported */
    DPL_EREDIRECT = -15,      /**< redirected */
    DPL_ETOOMANYREDIR = -16,  /**< redirected too often */
    DPL_ECONNECT = -17,       /**< no connection */
    DPL_EPERM = -18,          /**< not permitted */
    DPL_EPRECOND = -19,       /**< a precondition failed */
    DPL_ECONFLICT = -20,      /**< a conflict */
    DPL_ERANGEUNAVAIL = -21   /**< no such range */
} dpl_status_t;

/** Bits of a context's trace_level. */
typedef enum {
    DPL_TRACE_ERR = 1u << 0,
    DPL_TRACE_WARN = 1u << 1,
    DPL_TRACE_CONN = 1u << 2,
    DPL_TRACE_IO = 1u << 3,
    DPL_TRACE_HTTP = 1u << 4,
    DPL_TRACE_SSL = 1u << 5,
    DPL_TRACE_REQ = 1u << 6,
    DPL_TRACE_REST = 1u << 7,
    DPL_TRACE_ID = 1u << 8,
    DPL_TRACE_VFS = 1u << 9,
    DPL_TRACE_BACKEND = 1u << 10,
    DPL_TRACE_ID_SCHEME = 1u << 11
} dpl_trace_t;

/** How serious a line of the log is. */
typedef enum { DPL_DEBUG = 0, DPL_INFO = 1, DPL_WARNING = 2, DPL_ERROR = 3 } dpl_log_level_t;

typedef enum {
    DPL_METHOD_GET = 0,
    DPL_METHOD_PUT = 1,
    DPL_METHOD_DELETE = 2,
    DPL_METHOD_HEAD = 3,
    DPL_METHOD_POST = 4
} dpl_method_t;

/** What a request wants of its connection. A new one has the last two. */
typedef enum {
    DPL_BEHAVIOR_MD5 = 1u << 0,             /**< Content-MD5 is sent */
    DPL_BEHAVIOR_EXPECT = 1u << 1,          /**< Expect: 100-continue is sent */
    DPL_BEHAVIOR_VIRTUAL_HOSTING = 1u << 2, /**< the connection leads to BUCKET.HOST */
    DPL_BEHAVIOR_KEEP_ALIVE = 1u << 3       /**< the connection stays open after the reply */
} dpl_behavior_flag_t;

typedef enum {
    DPL_LOCATION_CONSTRAINT_UNDEF = 0,
    DPL_LOCATION_CONSTRAINT_EU_WEST_1 = 1,
    DPL_LOCATION_CONSTRAINT_EU_CENTRAL_1 = 2,
    DPL_LOCATION_CONSTRAINT_US_EAST_1 = 3,
    DPL_LOCATION_CONSTRAINT_US_WEST_1 = 4,
    DPL_LOCATION_CONSTRAINT_US_WEST_2 = 5,
    DPL_LOCATION_CONSTRAINT_AP_SOUTHEAST_1 = 6,
    DPL_LOCATION_CONSTRAINT_AP_SOUTHEAST_2 = 7,
    DPL_LOCATION_CONSTRAINT_AP_NORTHEAST_1 = 8,
    DPL_LOCATION_CONSTRAINT_SA_EAST_1 = 9,
    DPL_LOCATION_CONSTRAINT_EU = DPL_LOCATION_CONSTRAINT_EU_WEST_1,
    DPL_LOCATION_CONSTRAINT_US_STANDARD = DPL_LOCATION_CONSTRAINT_US_EAST_1
} dpl_location_constraint_t;
#define DPL_N_LOCATION_CONSTRAINT (DPL_LOCATION_CONSTRAINT_SA_EAST_1 + 1)

typedef enum {
    DPL_CANNED_ACL_UNDEF = 0,
    DPL_CANNED_ACL_PRIVATE = 1,
    DPL_CANNED_ACL_PUBLIC_READ = 2,
    DPL_CANNED_ACL_PUBLIC_READ_WRITE = 3,
    DPL_CANNED_ACL_AUTHENTICATED_READ = 4,
    DPL_CANNED_ACL_BUCKET_OWNER_READ = 5,
    DPL_CANNED_ACL_BUCKET_OWNER_FULL_CONTROL = 6
} dpl_canned_acl_t;
#define DPL_N_CANNED_ACL (DPL_CANNED_ACL_BUCKET_OWNER_FULL_CONTROL + 1)

typedef enum {
    DPL_STORAGE_CLASS_UNDEF = 0,
    DPL_STORAGE_CLASS_STANDARD = 1,
    DPL_STORAGE_CLASS_REDUCED_REDUNDANCY = 2,
    DPL_STORAGE_CLASS_CUSTOM = 3,
    DPL_STORAGE_CLASS_STANDARD_IA = 4
} dpl_storage_class_t;
#define DPL_N_STORAGE_CLASS (DPL_STORAGE_CLASS_STANDARD_IA + 1)

typedef enum {
    DPL_FTYPE_UNDEF = 0,
    DPL_FTYPE_ANY = 1,
    DPL_FTYPE_REG = 2,
    DPL_FTYPE_DIR = 3,
    DPL_FTYPE_CAP = 4,
    DPL_FTYPE_DOM = 5,
    DPL_FTYPE_CHRDEV = 6,
    DPL_FTYPE_BLKDEV = 7,
    DPL_FTYPE_FIFO = 8,
    DPL_FTYPE_SOCKET = 9,
    DPL_FTYPE_SYMLINK = 10
} dpl_ftype_t;

typedef enum {
    DPL_COPY_DIRECTIVE_UNDEF = 0,
    DPL_COPY_DIRECTIVE_COPY = 1,
    DPL_COPY_DIRECTIVE_METADATA_REPLACE = 2,
    DPL_COPY_DIRECTIVE_LINK = 3,
    DPL_COPY_DIRECTIVE_SYMLINK = 4,
    DPL_COPY_DIRECTIVE_MOVE = 5,
    DPL_COPY_DIRECTIVE_MKDENT = 6,
    DPL_COPY_DIRECTIVE_RMDENT = 7,
    DPL_COPY_DIRECTIVE_MVDENT = 8
} dpl_copy_directive_t;

/** What data_pricing is kept for. */
enum dpl_data_type { DPL_DATA_TYPE_IN = 0, DPL_DATA_TYPE_OUT = 1, DPL_DATA_TYPE_STORAGE = 2 };
#define DPL_N_DATA_TYPE (DPL_DATA_TYPE_STORAGE + 1)

typedef enum {
    DPL_CONDITION_IF_MODIFIED_SINCE = 0,
    DPL_CONDITION_IF_UNMODIFIED_SINCE = 1,
    DPL_CONDITION_IF_MATCH = 2,
    DPL_CONDITION_IF_NONE_MATCH = 3
} dpl_condition_type_t;

#define DPL_ETAG_SIZE 64
#define DPL_COND_MAX 10

/** A condition: `time` for the first two types, `etag` for the others. */
typedef struct {
    dpl_condition_type_t type;
    __extension__ union {
        time_t time;
        char etag[DPL_ETAG_SIZE + 1];
    };
} dpl_condition_one_t;

/** Conditions of a request, all of which must hold. */
typedef struct {
    int n_conds;
    dpl_condition_one_t conds[DPL_COND_MAX];
} dpl_condition_t;

/** A range of bytes, `end` included; DPL_UNDEF leaves a side open. */
typedef struct {
    uint64_t start;
    uint64_t end;
} dpl_range_t;
#define DPL_UNDEF (-1LL)

/** What Droplet's own REST code does; here, only its name is known. */
struct dpl_backend_s;

typedef struct dpl_ctx dpl_ctx_t;
typedef struct dpl_conn dpl_conn_t;
typedef struct dpl_addr dpl_addr_t;
typedef struct dpl_addrlist dpl_addrlist_t;
typedef struct dpl_dict dpl_dict_t;
typedef struct dpl_dict_var dpl_dict_var_t;
typedef struct dpl_value dpl_value_t;
typedef struct dpl_vec dpl_vec_t;
typedef struct dpl_sbuf dpl_sbuf_t;

/** Gets the lines of the log, see dpl_set_log_func(). */
typedef void (*dpl_log_func_t)(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message);

/** Gets the lines of a context's trace. */
typedef void (*dpl_trace_func_t)(pid_t tid, dpl_trace_t level, const char *file, const char *func,
                                 int lineno, char *buf);

/** Is called with each entry of a dictionary, see dpl_dict_iterate(). */
typedef dpl_status_t (*dpl_dict_func_t)(dpl_dict_var_t *var, void *cb_arg);

/** Compares two items of a vector, by pointers to them: below, at or above 0, as for qsort(3). */
typedef int (*dpl_value_cmp_func_t)(const void *p1, const void *p2);

/** A context: a profile, and the connections made for it. Limits and timeouts may be set at any time. */
struct dpl_ctx {
    int n_conn_buckets;                  /**< not used */
    int n_conn_max;                      /**< most connections, idle ones included */
    int n_conn_max_hits;                 /**< how often a connection is used again */
    int conn_idle_time;                  /**< how long a connection may be idle, in seconds */
    int conn_timeout;                    /**< longest connect, in seconds; so are the next two */
    int read_timeout;
    int write_timeout;
    int use_https;
    dpl_addrlist_t *addrlist;            /**< the hosts */
    int cur_host;                        /**< counts the connections asked for */
    int blacklist_expiretime;            /**< how long a host that failed is left out, in seconds */
    char *base_path;                     /**< what resources begin with */
    char *access_key;
    char *secret_key;
    unsigned char aws_auth_sign_version; /**< 2 or 4 */
    char aws_region[32];
    char *ssl_cert_file;
    char *ssl_key_file;
    char *ssl_password;                  /**< of the key */
    char *ssl_ca_list;
    char *ssl_crl_list;
    int cert_verif;                      /**< whether servers have to prove who they are */
    const SSL_METHOD *ssl_method;
    char *ssl_cipher_list;
    int ssl_comp;
    unsigned int trace_level;            /**< bits of dpl_trace_t */
    int trace_buffers;                   /**< whether what is sent and received is traced */
    int trace_binary;                    /**< and if so, in hexadecimal */
    char *pricing;                       /**< not used; so are all fields about prices and events */
    unsigned int read_buf_size;          /**< of each connection, in bytes */
    char *encrypt_key;
    int encode_slashes;
    int empty_folder_emulation;
    int keep_alive;
    int url_encoding;
    int max_redirects;
    int preserve_root_path;
    uint32_t enterprise_number;
    struct dpl_backend_s *backend;
    int header_size;                     /**< longest header of a reply */
    dpl_vec_t *request_pricing;
    dpl_vec_t *data_pricing[DPL_N_DATA_TYPE];
    SSL_CTX *ssl_ctx;
    BIO *ssl_bio;
    struct dpl_conn **conn_buckets;      /**< the connections; opaque */
    int n_conn_fds;                      /**< connections that are open */
    dpl_dict_t *cwds;
    char *cur_bucket;
    char *droplet_dir;
    char *profile_name;
    char *pricing_dir;
    FILE *event_log;
    dpl_trace_func_t trace_func;         /**< NULL for stderr */
    pthread_mutex_t lock;                /**< the program's, see dpl_ctx_lock() */
    int canary;                          /**< 1 while it is held */
    void *backend_ctx;
};

/** A request. Its strings are from malloc. */
typedef struct dpl_req {
    dpl_ctx_t *ctx;
    char *host;                          /**< what it is connected to, set by dpl_try_connect() */
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
    char *src_bucket;                    /**< from here on, for copies by the server */
    char *src_resource;
    char *src_subresource;
    dpl_copy_directive_t copy_directive;
    dpl_condition_t copy_source_condition;
} dpl_req_t;

#ifdef __cplusplus
}
#endif

#include <droplet/types.h>
#include <droplet/queue.h>
#include <droplet/addrlist.h>
#include <droplet/value.h>
#include <droplet/vec.h>
#include <droplet/dict.h>
#include <droplet/conn.h>
#include <droplet/httprequest.h>
#include <droplet/httpreply.h>
#include <droplet/req.h>
#include <droplet/id_scheme.h>
#include <droplet/utils.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The longest header of a reply: header_size of the context that was made last. */
extern int dpl_header_size;

/**
 * Initialises the library. The call is optional, and has no effect.
 *
 * @return DPL_SUCCESS
 */
dpl_status_t dpl_init(void);

/**
 * Ends the use of the library. It has no effect: OpenSSL clears up after itself when the process ends.
 */
void dpl_free(void);

/**
 * Makes a context from a profile file, `NAME.profile` in the droplet directory. An error is logged with file
 * and line.
 *
 * @param droplet_dir the directory; NULL for the environment's `DPLDIR`, or else `~/.droplet`
 * @param profile_name the name; NULL for the environment's `DPLPROFILE`, or else "default"
 * @return the context, to be freed with dpl_ctx_free(); NULL on failure
 *
 * @pre `droplet_dir` and `profile_name` are NULL or strings.
 */
dpl_ctx_t *dpl_ctx_new(const char *droplet_dir,
                       const char *profile_name);

/**
 * Makes a context from a dictionary with the variables of a profile file, and `droplet_dir` and
 * `profile_name`. The order of `use_https` and `host` does not matter.
 *
 * @param profile the dictionary, which stays the caller's
 * @return as dpl_ctx_new()
 *
 * @pre `profile` is NULL or a dictionary.
 */
dpl_ctx_t *dpl_ctx_new_from_dict(const dpl_dict_t *profile);

/**
 * Closes the idle connections of a context and frees it, with all that it owns. Connections in use stay usable.
 * It also frees contexts from dplx_ctx_new().
 *
 * @param ctx the context, which no other thread uses; NULL has no effect. A context that was freed before, or that
 *        is not from this library, is left alone, with a line in the log
 *
 * @pre `ctx` is NULL or came from a function of this library. No other thread uses it.
 */
void dpl_ctx_free(dpl_ctx_t *ctx);

/**
 * Takes a context's lock, so that a program can change several fields at once. No function of this library
 * takes it.
 *
 * @param ctx the context
 *
 * @pre `ctx` is NULL or points to a context.
 */
void dpl_ctx_lock(dpl_ctx_t *ctx);

/**
 * Releases a context's lock.
 *
 * @param ctx the context, whose lock the calling thread holds
 *
 * @pre `ctx` is NULL or points to a context, whose lock the calling thread holds.
 */
void dpl_ctx_unlock(dpl_ctx_t *ctx);

/**
 * Returns the name of a status.
 *
 * @param status a status
 * @return a constant string such as "DPL_SUCCESS"; "Unknown error" for others
 */
const char *dpl_status_str(dpl_status_t status);

#ifdef __cplusplus
}
#endif

#endif
