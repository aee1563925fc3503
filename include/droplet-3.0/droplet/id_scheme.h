/*
 * How object ids are made: types alone, for programs that name them. Generated from include/droplet-3.0.in; do not
 * edit.
 */
#ifndef __DROPLET_ID_SCHEME_H__
#define __DROPLET_ID_SCHEME_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Makes an id at random. */
typedef dpl_status_t (*dpl_gen_random_key_t)(dpl_ctx_t *ctx, dpl_storage_class_t storage_class,
                                             char *custom, char *id_buf, int max_len);

typedef struct dpl_id_scheme_s {
    const char *name;
    dpl_gen_random_key_t gen_random_key;
} dpl_id_scheme_t;

/** Stands for whatever scheme there is. */
#define DPL_ID_SCHEME_ANY ((dpl_id_scheme_t *)1)

#ifdef __cplusplus
}
#endif

#endif
