/* Vectors of values. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_VEC_H__
#define __DROPLET_VEC_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A vector. */
struct dpl_vec {
    dpl_value_t **items;
    int n_items;
    int size;      /**< for how many there is room */
    int incr_size; /**< for how many more room is made */
};

/**
 * Makes an empty vector.
 *
 * @param init_size the number of items that it has room for at first, more than 0
 * @param incr_size the number of items that it grows by; 0 or less for half its size
 * @return the vector, to be freed with dpl_vec_free(); NULL for another `init_size`, or if memory is out
 */
dpl_vec_t *dpl_vec_new(int init_size,
                       int incr_size);

/**
 * Frees a vector and its values. What a pointer among them points to is not freed.
 *
 * @param vec the vector; NULL has no effect
 *
 * @pre `vec` is NULL or a vector that is not used any more.
 */
void dpl_vec_free(dpl_vec_t *vec);

/**
 * Adds a copy of a value.
 *
 * @param vec the vector
 * @param value the value, which the caller keeps
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `vec` is NULL or a vector that only the caller uses; `value` is NULL or a value.
 */
dpl_status_t dpl_vec_add_value(dpl_vec_t *vec, dpl_value_t *value);

/**
 * Adds a pointer of the program's, which dpl_vec_get() returns.
 *
 * @param vec the vector
 * @param item the pointer, which is not dereferenced
 * @return as dpl_vec_add_value()
 *
 * @pre `vec` is NULL or a vector that only the caller uses.
 */
dpl_status_t dpl_vec_add(dpl_vec_t *vec, void *item);

/**
 * Returns a pointer of the program's.
 *
 * @param vec the vector
 * @param i the number of the item, from 0
 * @return the pointer; NULL if there is no such item, if it is a value of another type, or for NULL
 *
 * @pre `vec` is NULL or a vector.
 */
void *dpl_vec_get(dpl_vec_t *vec, int i);

/**
 * Writes a vector to a file, for people to read.
 *
 * @param vec the vector
 * @param f the file
 * @param level the number of spaces that lines are indented by
 *
 * @pre `vec` is NULL or a vector; `f` is NULL or open for writing.
 */
void dpl_vec_print(dpl_vec_t *vec, FILE *f, int level);

/**
 * Copies a vector and all that it contains. A pointer is copied, but not what it points to.
 *
 * @param vec the vector
 * @return the copy, to be freed with dpl_vec_free(); NULL for NULL, or if memory is out
 *
 * @pre `vec` is NULL or a vector.
 */
dpl_vec_t *dpl_vec_dup(dpl_vec_t *vec);

/**
 * Sorts a vector as qsort(3) does.
 *
 * @param vec the vector
 * @param cmp_func compares two items: its arguments are pointers to them, each a `dpl_value_t **`, and its result
 *        is less than, equal to or greater than 0
 *
 * @pre `vec` is NULL or a vector that only the caller uses; `cmp_func` is NULL or a function that orders its
 * items.
 */
void dpl_vec_sort(dpl_vec_t *vec,
                  dpl_value_cmp_func_t cmp_func);

#ifdef __cplusplus
}
#endif

#endif
