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

@functions src/standalone/log.rs

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
