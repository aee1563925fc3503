/* String buffers. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_SBUF_H__
#define __DROPLET_SBUF_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A string buffer: buf ends with a NUL, which len does not count. */
struct dpl_sbuf {
    char *buf;
    size_t len;
    size_t allocated;
};

@functions crates/droplet/src/exports/sbuf.rs

/**
 * Adds a formatted string at the end.
 *
 * @param sb the buffer
 * @param format as for printf(3), with its arguments
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 */
dpl_status_t dpl_sbuf_add_str_fmt(dpl_sbuf_t *sb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
