/* The log, IO vectors, and small help. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_UTILS_H__
#define __DROPLET_UTILS_H__ 1

#include <byteswap.h>
#include <droplet.h>
#include <endian.h>
#include <stdarg.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From the host's byte order to the network's and back, for 64 bits. */
#ifndef ntohll
#if __BYTE_ORDER == __LITTLE_ENDIAN
#define ntohll(x) bswap_64(x)
#define htonll(x) bswap_64(x)
#else
#define ntohll(x) (x)
#define htonll(x) (x)
#endif
#endif

#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif
#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif

/* Room for `len` bytes in another form, without a NUL; DPL_URL_LENGTH counts one. */
#define DPL_BASE64_LENGTH(len) (((len) + 2) / 3 * 4)
#define DPL_BASE64_ORIG_LENGTH(len) (((len) + 3) / 4 * 3)
#define DPL_HEX_LENGTH(len) (2 * (len))
#define DPL_BCD_LENGTH(len) (2 * (len))
#define DPL_URL_LENGTH(len) (3 * (len) + 1)

/*
 * For a function that fills a buffer and returns a dpl_status_t: they write to its `p`, of which `len` bytes are
 * left, and where there is no room they return DPL_FAILURE from it.
 */
#define DPL_APPEND_BUF(Buf, Len) \
    do { \
        if ((Len) > len) \
            return DPL_FAILURE; \
        memcpy(p, (Buf), (Len)); \
        p += (Len); \
        len -= (Len); \
    } while (0)
#define DPL_APPEND_STR(Str) DPL_APPEND_BUF((Str), strlen(Str))
#define DPL_APPEND_CHAR(Char) \
    do { \
        if (len < 1) \
            return DPL_FAILURE; \
        *p++ = (Char); \
        len--; \
    } while (0)

/* ---- types of Droplet's code for dumps, profiles and attributes, which is not here ---- */

#define XATTRS_NO_ENCODING 0
#define XATTRS_ENCODE_BASE64 1

#define DPL_DUMP_LINE_SIZE 16

struct dpl_dump_ctx {
    FILE *file;
    char prevb[DPL_DUMP_LINE_SIZE];
    int prevb_inited;
    int star_displayed;
    size_t global_off;
    int binary;
};

#define DPL_CONF_MAX_BUF 256

struct dpl_conf_buf {
    char buf[DPL_CONF_MAX_BUF + 1];
    int pos;
};

/** Gets each variable of a profile. */
typedef int (*dpl_conf_cb_func_t)(void *cb_arg, const char *var, char *value);

struct dpl_conf_ctx {
    int backslash;
    int comment;
    int quote;
    struct dpl_conf_buf var_cbuf;
    struct dpl_conf_buf value_cbuf;
    struct dpl_conf_buf *cur_cbuf;
    dpl_conf_cb_func_t cb_func;
    void *cb_arg;
};

/* ---- the log ---- */

/**
 * Logs a line: `LEVEL: FILE:LINE: FUNCTION: MESSAGE`, cut to 2,047 bytes.
 *
 * @param ctx handed to the log function; may be NULL
 * @param level how serious it is
 * @param file left out, with the line, if it is NULL
 * @param func left out if it is NULL
 * @param lineno the line
 * @param fmt as for printf(3), with its arguments
 * @return DPL_SUCCESS
 */
dpl_status_t dpl_log(dpl_ctx_t *ctx, dpl_log_level_t level, const char *file, const char *func, int lineno,
                     const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/**
 * Writes a line of trace, cut to 255 bytes, to the context's trace_func or to stderr. Whether it is wanted is
 * the caller's to see, in the context's trace_level: DPL_TRACE() does.
 *
 * @param ctx may be NULL
 * @param level the bit of dpl_trace_t that it belongs to
 * @param file the file
 * @param func the function
 * @param lineno the line
 * @param fmt as for printf(3), with its arguments
 */
void dpl_trace(dpl_ctx_t *ctx, unsigned int level, const char *file, const char *func, int lineno,
               const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/**
 * Sets the function that gets the log, for the whole process.
 *
 * @param logfunc called with each line, without a newline; NULL to log to stderr
 */
void dpl_set_log_func(dpl_log_func_t logfunc);

/**
 * Logs the errors in OpenSSL's queue of this thread, one a line, and clears the queue.
 *
 * @param ctx passed to the log function; may be NULL
 * @param file the caller's file
 * @param func the caller's name
 * @param line the caller's line
 * @param str the operation that failed
 *
 * @pre `file`, `func` and `str` are NULL or strings.
 */
void dpl_ssl_perror(dpl_ctx_t *ctx, const char *file, const char *func, int line, const char *str);

/**
 * Returns the number of bytes in an IO vector.
 *
 * @param iov the pieces
 * @param n_iov the number of pieces
 * @return the sum of their lengths
 *
 * @pre `iov` is NULL or points to `n_iov` pieces.
 */
size_t dpl_iov_size(struct iovec *iov, int n_iov);

/**
 * Writes an IO vector to stderr, for people to read.
 *
 * @param iov the pieces
 * @param n_iov the number of pieces
 * @param n_bytes the greatest number of bytes to write
 * @param binary 0 to write the bytes themselves, else to write their offsets, values and characters
 *
 * @pre `iov` is NULL or points to `n_iov` pieces of readable memory.
 */
void dpl_iov_dump(struct iovec *iov, int n_iov, size_t n_bytes, int binary);

/** Logs a line from here: DPL_LOG(ctx, DPL_ERROR, "read: %s", text). */
#define DPL_LOG(ctx, level, ...) ((void)dpl_log((ctx), (level), __FILE__, __func__, __LINE__, __VA_ARGS__))

/** Traces a line from here, if the context wants it. */
#define DPL_TRACE(ctx, level, ...) \
    ((ctx)->trace_level & (level) \
         ? dpl_trace((ctx), (level), __FILE__, __func__, __LINE__, __VA_ARGS__) \
         : (void)0)

/** Logs, from here, what OpenSSL has noted. */
#define DPL_SSL_PERROR(ctx, str) dpl_ssl_perror((ctx), __FILE__, __func__, __LINE__, (str))

#ifdef __cplusplus
}
#endif

#endif
