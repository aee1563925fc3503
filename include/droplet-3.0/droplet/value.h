/* Values. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_VAR_H__
#define __DROPLET_VAR_H__ 1

#include <droplet.h>
#include <droplet/sbuf.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    DPL_VALUE_STRING = 0,
    DPL_VALUE_SUBDICT = 1,
    DPL_VALUE_VECTOR = 2,
    DPL_VALUE_VOIDPTR = 3
} dpl_value_type_t;

/** A value: its type says which member counts. It owns what that leads to, save for ptr. */
struct dpl_value {
    __extension__ union {
        dpl_sbuf_t *string;
        struct dpl_dict *subdict;
        struct dpl_vec *vector;
        void *ptr;
    };
    dpl_value_type_t type;
};

/**
 * Frees a value and all that it contains. What a pointer points to is not freed.
 *
 * @param value the value; NULL has no effect
 *
 * @pre `value` is NULL or a value that is not used any more.
 */
void dpl_value_free(dpl_value_t *value);

/**
 * Copies a value and all that it contains. A pointer is copied, but not what it points to.
 *
 * @param src the value
 * @return the copy, to be freed with dpl_value_free(); NULL for NULL, or if memory is out
 *
 * @pre `src` is NULL or a value.
 */
dpl_value_t *dpl_value_dup(dpl_value_t *src);

/**
 * Writes a value to a file, for people to read.
 *
 * @param val the value
 * @param f the file
 * @param level the number of spaces that lines are indented by
 * @param indent 0 not to indent the first line
 *
 * @pre `val` is NULL or a value; `f` is NULL or open for writing.
 */
void dpl_value_print(dpl_value_t *val, FILE *f, int level, int indent);

#ifdef __cplusplus
}
#endif

#endif
