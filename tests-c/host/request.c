/* Requests: who asks for what. Every string in them is malloc'ed. */
#include "droplet.h"

#include <stdlib.h>
#include <string.h>

dpl_req_t *dpl_req_new(dpl_ctx_t *ctx) {
    dpl_req_t *req = calloc(1, sizeof *req);

    if (!req)
        return NULL;
    req->ctx = ctx;
    req->behavior_flags = DPL_BEHAVIOR_VIRTUAL_HOSTING | DPL_BEHAVIOR_KEEP_ALIVE;
    return req;
}

/* As strict as the original: NULL crashes. */
void dpl_req_free(dpl_req_t *req) {
    free(req->host);
    free(req->port);
    free(req->bucket);
    free(req->resource);
    if (req->metadata)
        dpl_dict_free(req->metadata);
    free(req);
}

static dpl_status_t replace(char **field, const char *value) {
    char *copy = strdup(value);

    if (!copy)
        return DPL_ENOMEM;
    free(*field);
    *field = copy;
    return DPL_SUCCESS;
}

dpl_status_t dpl_req_set_bucket(dpl_req_t *req, const char *bucket) {
    return replace(&req->bucket, bucket);
}

dpl_status_t dpl_req_set_resource(dpl_req_t *req, const char *resource) {
    return replace(&req->resource, resource);
}

dpl_status_t dpl_req_set_host(dpl_req_t *req, const char *host) {
    return replace(&req->host, host);
}

dpl_status_t dpl_req_set_port(dpl_req_t *req, const char *port) {
    return replace(&req->port, port);
}

dpl_status_t dpl_req_add_metadatum(dpl_req_t *req, const char *key, const char *value) {
    if (!req->metadata)
        req->metadata = dpl_dict_new(13);
    return req->metadata ? dpl_dict_add(req->metadata, key, value, 0) : DPL_ENOMEM;
}

void dpl_req_add_behavior(dpl_req_t *req, unsigned int flags) {
    req->behavior_flags |= flags;
}

void dpl_req_rm_behavior(dpl_req_t *req, unsigned int flags) {
    req->behavior_flags &= ~flags;
}
