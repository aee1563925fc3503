/* Dictionaries. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_DICT_H__
#define __DROPLET_DICT_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An entry of a dictionary. */
struct dpl_dict_var {
    struct dpl_dict_var *prev;
    struct dpl_dict_var *next;
    char *key;
    dpl_value_t *val;
};

/** A dictionary: entries in buckets. */
struct dpl_dict {
    dpl_dict_var_t **buckets;
    unsigned int n_buckets;
};

@functions crates/droplet/src/exports/dict/mod.rs

#ifdef __cplusplus
}
#endif

#endif
