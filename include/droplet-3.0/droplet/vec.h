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
 * @param init_size how many items it has room for at first, more than 0
 * @param incr_size by how many items it grows; 0 or less for half as many again
 * @return the vector, to be freed with dpl_vec_free(); NULL for any other `init_size`, or if memory is out
 */
dpl_vec_t *dpl_vec_new(int init_size,
                       int incr_size);

/**
 * Frees a vector and its values; what pointers in it lead to stays.
 *
 * @param vec the vector; NULL has no effect
 *
 * @pre `vec` is NULL or a vector that nobody uses any more.
 */
void dpl_vec_free(dpl_vec_t *vec);

/**
 * Adds the copy of a value.
 *
 * @param vec the vector
 * @param value the value, which stays the caller's
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `vec` is NULL or a vector that only the caller uses; `value` is NULL or a value.
 */
dpl_status_t dpl_vec_add_value(dpl_vec_t *vec, dpl_value_t *value);

/**
 * Adds a pointer of the program's, which dpl_vec_get() gives back.
 *
 * @param vec the vector
 * @param item the pointer, which is not followed
 * @return as dpl_vec_add_value()
 *
 * @pre `vec` is NULL or a vector that only the caller uses.
 */
dpl_status_t dpl_vec_add(dpl_vec_t *vec, void *item);

/**
 * A pointer of the program's in a vector.
 *
 * @param vec the vector
 * @param i its number, from 0
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
 * @param level by how many spaces lines are indented
 *
 * @pre `vec` is NULL or a vector; `f` is NULL or open for writing.
 */
void dpl_vec_print(dpl_vec_t *vec, FILE *f, int level);

/**
 * Copies a vector and all that it contains; of pointers only those themselves.
 *
 * @param vec the vector
 * @return its copy, to be freed with dpl_vec_free(); NULL for NULL, or if memory is out
 *
 * @pre `vec` is NULL or a vector.
 */
dpl_vec_t *dpl_vec_dup(dpl_vec_t *vec);

/**
 * Sorts a vector as qsort(3) does.
 *
 * @param vec the vector
 * @param cmp_func gets pointers to two items, each a `dpl_value_t *`, and returns less than, equal to or
 *        greater than 0
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
