/* Contexts over loopback servers, and what a program can see of one. */
#ifndef SUPPORT_CONTEXT_H
#define SUPPORT_CONTEXT_H

#include "droplet.h"
#include "support/loopback.h"

/* From a profile with these hosts and further lines ("" for none). NULL when it is refused. */
dpl_ctx_t *context_over(const char *hosts, const char *more);
dpl_ctx_t *context_over_servers(struct server *const servers[], int n, const char *more);
dpl_ctx_t *context_over_server(struct server *server, const char *more);

/* From exactly this profile. */
dpl_ctx_t *context_from_text(const char *text);

/* 0 when the server's entry in the host list is available, else when it is again; -1: never. */
long blacklisted_until(dpl_ctx_t *ctx, const struct server *server);
unsigned hosts_available(dpl_ctx_t *ctx);

/* Descriptors open in this process. */
int open_descriptors(void);

#endif
