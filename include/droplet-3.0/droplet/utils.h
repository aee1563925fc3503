/* The log, and IO vectors. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_UTILS_H__
#define __DROPLET_UTILS_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

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
 * Sets who gets the log, for the whole process.
 *
 * @param logfunc called with each line, which has no newline; NULL for stderr
 */
void dpl_set_log_func(dpl_log_func_t logfunc);

/**
 * Logs the errors that OpenSSL has noted for this thread, a line each, and forgets them.
 *
 * @param ctx handed to the log function; may be NULL
 * @param file the caller's file
 * @param func the caller's name
 * @param line the caller's line
 * @param str what was tried
 *
 * @pre `file`, `func` and `str` are NULL or strings.
 */
void dpl_ssl_perror(dpl_ctx_t *ctx, const char *file, const char *func, int line, const char *str);

/**
 * How many bytes an IO vector holds.
 *
 * @param iov the pieces
 * @param n_iov how many there are
 * @return the sum of their lengths
 *
 * @pre `iov` is NULL or points to `n_iov` pieces.
 */
size_t dpl_iov_size(struct iovec *iov, int n_iov);

/**
 * Writes an IO vector to stderr, for people to read.
 *
 * @param iov the pieces
 * @param n_iov how many there are
 * @param n_bytes at most so many bytes
 * @param binary 0 for the bytes as they are, else for their offsets, values and characters
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
