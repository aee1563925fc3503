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

/**
 * Makes an empty string buffer.
 *
 * @param size the number of bytes that it has room for at first, including the NUL
 * @return the buffer, to be freed with dpl_sbuf_free(); NULL if memory is out
 */
dpl_sbuf_t *dpl_sbuf_new(size_t size);

/**
 * Makes a string buffer with a string in it.
 *
 * @param str the string, which is copied
 * @return the buffer, to be freed with dpl_sbuf_free(); NULL for a NULL string, or if memory is out
 *
 * @pre `str` is NULL or a string.
 */
dpl_sbuf_t *dpl_sbuf_new_from_str(const char *str);

/**
 * Adds bytes to the end.
 *
 * @param sb the buffer
 * @param buf the bytes, which may be in the buffer itself; may be NULL if `len` is 0
 * @param len the number of bytes
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM, which leaves the buffer unchanged
 *
 * @pre `sb` is NULL or a buffer that only the caller uses; `buf` is NULL or points to `len` readable bytes.
 */
dpl_status_t dpl_sbuf_add(dpl_sbuf_t *sb,
                          const char *buf,
                          size_t len);

/**
 * Adds a string to the end.
 *
 * @param sb the buffer
 * @param str the string
 * @return as dpl_sbuf_add()
 *
 * @pre `sb` is NULL or a buffer that only the caller uses; `str` is NULL or a string.
 */
dpl_status_t dpl_sbuf_add_str(dpl_sbuf_t *sb, const char *str);

/**
 * Copies a buffer.
 *
 * @param src the buffer
 * @return the copy, to be freed with dpl_sbuf_free(); NULL for NULL, or if memory is out
 *
 * @pre `src` is NULL or a buffer.
 */
dpl_sbuf_t *dpl_sbuf_dup(const dpl_sbuf_t *src);

/**
 * Returns the string in a buffer.
 *
 * @param sbuf the buffer
 * @return the string, which the buffer owns; it is valid until the buffer is changed or freed. NULL for NULL
 *
 * @pre `sbuf` is NULL or a buffer.
 */
char *dpl_sbuf_get_str(dpl_sbuf_t *sbuf);

/**
 * Frees a buffer.
 *
 * @param sb the buffer; NULL has no effect
 *
 * @pre `sb` is NULL or a buffer that is not used any more.
 */
void dpl_sbuf_free(dpl_sbuf_t *sb);

/**
 * Writes the bytes of a buffer to a file.
 *
 * @param f the file
 * @param sb the buffer
 *
 * @pre `f` is NULL or open for writing; `sb` is NULL or a buffer.
 */
void dpl_sbuf_print(FILE *f, dpl_sbuf_t *sb);

/**
 * Percent-encodes the bytes of a buffer (RFC 3986, section 2.1), except for letters, digits, `-`, `.` and `_`.
 *
 * @param sb the buffer
 * @return as dpl_sbuf_add()
 *
 * @pre `sb` is NULL or a buffer that only the caller uses.
 */
dpl_status_t dpl_sbuf_url_encode(dpl_sbuf_t *sb);

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
