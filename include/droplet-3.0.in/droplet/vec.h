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

@functions crates/droplet/src/exports/vec.rs

#ifdef __cplusplus
}
#endif

#endif
