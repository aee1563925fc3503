/* Contexts: made from a profile, freed with all that belongs to them. */
#include "droplet.h"

#include <stdlib.h>
#include <string.h>

enum { CANARY = 0xbeef };

dpl_status_t dpl_init(void) {
    return DPL_SUCCESS; /* OpenSSL initialises itself */
}

void dpl_free(void) {
}

void dpl_ctx_lock(dpl_ctx_t *ctx) {
    pthread_mutex_lock(&ctx->lock);
}

void dpl_ctx_unlock(dpl_ctx_t *ctx) {
    pthread_mutex_unlock(&ctx->lock);
}

dpl_ctx_t *dpl_ctx_new(const char *droplet_dir, const char *profile_name) {
    dpl_ctx_t *ctx = calloc(1, sizeof *ctx);

    if (!ctx)
        return NULL;
    ctx->canary = CANARY;
    pthread_mutex_init(&ctx->lock, NULL);
    if (dpl_profile_load(ctx, droplet_dir, profile_name) == DPL_SUCCESS &&
        dpl_profile_post(ctx) == DPL_SUCCESS)
        return ctx;
    /* Refused, perhaps before its pool was made: freed like any other. */
    dpl_ctx_free(ctx);
    return NULL;
}

void dpl_ctx_free(dpl_ctx_t *ctx) {
    if (!ctx)
        return;
    dpl_profile_free(ctx);
    pthread_mutex_destroy(&ctx->lock);
    /* A use after free is to be noticed, also where no checker is at work. */
    memset(ctx, 0xa5, sizeof *ctx);
    free(ctx);
}
