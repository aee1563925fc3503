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

@functions crates/droplet/src/exports/value.rs

#ifdef __cplusplus
}
#endif

#endif
