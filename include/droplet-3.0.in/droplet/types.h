/*
 * Types and constants of Droplet's REST and VFS code, for programs that name them: the code itself is not here, and
 * no function takes them. Generated from include/droplet-3.0.in; do not edit.
 */
#ifndef DROPLET_CONN_TYPES_H
#define DROPLET_CONN_TYPES_H

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;

/** What a backend can do. */
typedef enum {
    DPL_CAP_BUCKETS = 1u << 0,
    DPL_CAP_FNAMES = 1u << 1,
    DPL_CAP_IDS = 1u << 2,
    DPL_CAP_LAZY = 1u << 3,
    DPL_CAP_HTTP_COMPAT = 1u << 4,
    DPL_CAP_RAW = 1u << 5,
    DPL_CAP_APPEND_METADATA = 1u << 6,
    DPL_CAP_CONSISTENCY = 1u << 7,
    DPL_CAP_VERSIONING = 1u << 8,
    DPL_CAP_CONDITIONS = 1u << 9,
    DPL_CAP_PUT_RANGE = 1u << 10,
    DPL_CAP_BATCH_DELETE = 1u << 11
} dpl_capability_t;

/* ---- access control lists, after RFC 3530, section 5.11 ---- */

/** Two of the names are spelled TPE, as programs know them. */
typedef enum {
    DPL_ACE_TYPE_ALLOW = 1,
    DPL_ACE_TYPE_DENY = 2,
    DPL_ACE_TPE_AUDIT = 3,
    DPL_ACE_TPE_ALARM = 4
} dpl_ace_type_t;

typedef enum {
    DPL_ACE_FLAG_OBJECT_INHERIT = 0x01,
    DPL_ACE_FLAG_CONTAINER_INHERIT = 0x02,
    DPL_ACE_FLAG_NO_PROPAGATE = 0x04,
    DPL_ACE_FLAG_INHERIT_ONLY = 0x08,
    DPL_ACE_FLAG_SUCCESSFUL_ACCESS = 0x10,
    DPL_ACE_FLAG_FAILED_ACCESS = 0x20,
    DPL_ACE_FLAG_IDENTIFIER_GROUP = 0x40,
    DPL_ACE_FLAG_INHERITED = 0x80
} dpl_ace_flag_t;

/** A bit means one thing for an object and another for a container: two names each. */
typedef enum {
    DPL_ACE_MASK_READ_OBJECT = 0x1,
    DPL_ACE_MASK_LIST_CONTAINER = 0x1,
    DPL_ACE_MASK_WRITE_OBJECT = 0x2,
    DPL_ACE_MASK_ADD_OBJECT = 0x2,
    DPL_ACE_MASK_APPEND_DATA = 0x4,
    DPL_ACE_MASK_ADD_SUBCONTAINER = 0x4,
    DPL_ACE_MASK_READ_METADATA = 0x8,
    DPL_ACE_MASK_WRITE_METADATA = 0x10,
    DPL_ACE_MASK_EXECUTE = 0x20,
    DPL_ACE_MASK_DELETE_OBJECT = 0x40,
    DPL_ACE_MASK_DELETE_SUBCONTAINER = 0x40,
    DPL_ACE_MASK_READ_ATTRIBUTES = 0x80,
    DPL_ACE_MASK_WRITE_ATTRIBUTES = 0x100,
    DPL_ACE_MASK_WRITE_RETENTION = 0x200,
    DPL_ACE_MASK_WRITE_RETENTION_HOLD = 0x400,
    DPL_ACE_MASK_DELETE = 0x10000,
    DPL_ACE_MASK_READ_ACL = 0x20000,
    DPL_ACE_MASK_WRITE_ACL = 0x40000,
    DPL_ACE_MASK_WRITE_OWNER = 0x80000,
    DPL_ACE_MASK_SYNCHRONIZE = 0x190000
} dpl_ace_mask_t;

#define DPL_ACE_MASK_READ \
    (DPL_ACE_MASK_READ_OBJECT | DPL_ACE_MASK_READ_METADATA | DPL_ACE_MASK_READ_ATTRIBUTES | \
     DPL_ACE_MASK_EXECUTE)
#define DPL_ACE_MASK_READ_ALL (DPL_ACE_MASK_READ | DPL_ACE_MASK_READ_ACL)
#define DPL_ACE_MASK_WRITE \
    (DPL_ACE_MASK_WRITE_OBJECT | DPL_ACE_MASK_WRITE_METADATA | DPL_ACE_MASK_ADD_SUBCONTAINER)
#define DPL_ACE_MASK_WRITE_ALL \
    (DPL_ACE_MASK_WRITE | DPL_ACE_MASK_WRITE_ATTRIBUTES | DPL_ACE_MASK_WRITE_RETENTION | \
     DPL_ACE_MASK_WRITE_RETENTION_HOLD | DPL_ACE_MASK_WRITE_ACL | DPL_ACE_MASK_WRITE_OWNER | \
     DPL_ACE_MASK_DELETE | DPL_ACE_MASK_DELETE_OBJECT)
#define DPL_ACE_MASK_RW (DPL_ACE_MASK_READ | DPL_ACE_MASK_WRITE)
#define DPL_ACE_MASK_RW_ALL (DPL_ACE_MASK_READ_ALL | DPL_ACE_MASK_WRITE_ALL)
#define DPL_ACE_MASK_ALL (DPL_ACE_MASK_RW_ALL | DPL_ACE_MASK_SYNCHRONIZE)

typedef enum {
    DPL_ACE_WHO_OWNER = 0,
    DPL_ACE_WHO_GROUP = 1,
    DPL_ACE_WHO_EVERYONE = 2,
    DPL_ACE_WHO_INTERACTIVE = 3,
    DPL_ACE_WHO_NETWORK = 4,
    DPL_ACE_WHO_DIALUP = 5,
    DPL_ACE_WHO_BATCH = 6,
    DPL_ACE_WHO_ANONYMOUS = 7,
    DPL_ACE_WHO_AUTHENTICATED = 8,
    DPL_ACE_WHO_SERVICE = 9,
    DPL_ACE_WHO_ADMINISTRATOR = 10,
    DPL_ACE_WHO_ADMINUSERS = 11
} dpl_ace_who_t;

typedef struct {
    dpl_ace_type_t type;
    dpl_ace_flag_t flag;
    dpl_ace_mask_t access_mask;
    dpl_ace_who_t who;
} dpl_ace_t;

/* ---- objects and what is known about them ---- */

/** Which fields of dpl_sysmd_t are set. */
typedef enum {
    DPL_SYSMD_MASK_CANNED_ACL = 1u << 0,
    DPL_SYSMD_MASK_STORAGE_CLASS = 1u << 1,
    DPL_SYSMD_MASK_SIZE = 1u << 2,
    DPL_SYSMD_MASK_ATIME = 1u << 3,
    DPL_SYSMD_MASK_MTIME = 1u << 4,
    DPL_SYSMD_MASK_CTIME = 1u << 5,
    DPL_SYSMD_MASK_ETAG = 1u << 6,
    DPL_SYSMD_MASK_LOCATION_CONSTRAINT = 1u << 8,
    DPL_SYSMD_MASK_OWNER = 1u << 9,
    DPL_SYSMD_MASK_GROUP = 1u << 10,
    DPL_SYSMD_MASK_ACL = 1u << 11,
    DPL_SYSMD_MASK_ID = 1u << 12,
    DPL_SYSMD_MASK_PARENT_ID = 1u << 13,
    DPL_SYSMD_MASK_FTYPE = 1u << 14,
    DPL_SYSMD_MASK_ENTERPRISE_NUMBER = 1u << 15,
    DPL_SYSMD_MASK_PATH = 1u << 16,
    DPL_SYSMD_MASK_VERSION = 1u << 17
} dpl_sysmd_mask_t;

#define DPL_SYSMD_ETAG_SIZE DPL_ETAG_SIZE
#define DPL_SYSMD_OWNER_SIZE 32
#define DPL_SYSMD_GROUP_SIZE 32
#define DPL_SYSMD_ACE_MAX 10
#define DPL_SYSMD_ID_SIZE 64

/** What the system keeps of an object. */
typedef struct {
    dpl_sysmd_mask_t mask;
    dpl_canned_acl_t canned_acl;
    dpl_storage_class_t storage_class;
    uint64_t size;
    time_t atime;
    time_t mtime;
    time_t ctime;
    char etag[DPL_SYSMD_ETAG_SIZE + 1];
    dpl_location_constraint_t location_constraint;
    char owner[DPL_SYSMD_OWNER_SIZE + 1];
    char group[DPL_SYSMD_GROUP_SIZE + 1];
    uint32_t n_aces;
    dpl_ace_t aces[DPL_SYSMD_ACE_MAX];
    char id[DPL_SYSMD_ID_SIZE + 1];
    char parent_id[DPL_SYSMD_ID_SIZE + 1];
    dpl_ftype_t ftype;
    uint32_t enterprise_number;
    char path[DPL_MAXPATHLEN + 1];
    char version[DPL_SYSMD_ID_SIZE + 1];
} dpl_sysmd_t;

typedef struct {
    char *name;
    char *version_id;
    dpl_ftype_t type;
} dpl_locator_t;

typedef struct {
    dpl_locator_t *tab;
    unsigned int size;
} dpl_locators_t;

typedef struct {
    char *name;
    time_t creation_time;
} dpl_bucket_t;

typedef struct {
    char *path;
    time_t last_modified;
    size_t size;
    char *etags;
    dpl_ftype_t type;
} dpl_object_t;

typedef struct {
    char *prefix;
} dpl_common_prefix_t;

typedef struct {
    char *name;
    char *version_id;
    dpl_status_t status;
    char *error;
} dpl_delete_object_t;

/** RFC 4122, section 4.1.2. */
typedef struct {
    uint32_t time_low;
    uint16_t time_mid;
    uint16_t time_hi_and_version;
    uint8_t clock_seq_hi_and_reserved;
    uint8_t clock_seq_low;
    uint8_t node_addr[6];
} dpl_uuid_t;

/* ---- arguments of requests ---- */

/** Bits of a request's options. In C++ they are plain numbers, so that they can be joined by |. */
#ifdef __cplusplus
typedef unsigned int dpl_option_mask_t;
enum {
#else
typedef enum {
#endif
    DPL_OPTION_LAZY = 1u << 0,
    DPL_OPTION_HTTP_COMPAT = 1u << 1,
    DPL_OPTION_RAW = 1u << 2,
    DPL_OPTION_APPEND_METADATA = 1u << 3,
    DPL_OPTION_CONSISTENT = 1u << 4,
    DPL_OPTION_EXPECT_VERSION = 1u << 5,
    DPL_OPTION_FORCE_VERSION = 1u << 6,
    DPL_OPTION_NOALLOC = 1u << 7
#ifdef __cplusplus
};
#else
} dpl_option_mask_t;
#endif

typedef struct {
    dpl_option_mask_t mask;
    char expect_version[DPL_SYSMD_ID_SIZE + 1];
    char force_version[DPL_SYSMD_ID_SIZE + 1];
} dpl_option_t;

/** A transfer in several steps. */
typedef struct {
    char *bucket;
    int locator_is_id;
    char *locator;
    dpl_option_t *options;
    dpl_condition_t *condition;
    struct json_object *status;
    dpl_dict_t *md;
    dpl_sysmd_t *sysmd;
} dpl_stream_t;

/** Gets each item of an object's metadata. */
typedef dpl_status_t (*dpl_metadatum_func_t)(void *cb_arg, const char *key, dpl_value_t *val);

#ifdef __cplusplus
}
#endif

#endif
