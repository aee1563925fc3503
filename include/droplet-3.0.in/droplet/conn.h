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

@functions src/exports/conn.rs

#ifdef __cplusplus
}
#endif

#endif
