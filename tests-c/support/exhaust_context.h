/* A server, and a context over it, for scenarios without memory (support/exhaust.h). To be included by one file of a
 * program. */
#ifndef SUPPORT_EXHAUST_CONTEXT_H
#define SUPPORT_EXHAUST_CONTEXT_H

#include <stdio.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/dplx.h"
#include "support/exhaust.h"
#include "support/loopback.h"

/* It is in the process of the case, and the scenarios in its children: only their own allocations count. */
static struct server *server;

static dpl_ctx_t *ctx;
static char profile[1024];

static inline void describe(const char *hosts, const char *more) {
    int len = 0;

    if (tls_wanted())
        len = snprintf(profile, sizeof profile, "use_https = true\nssl_ca_list = \"%s\"\n",
                       authority_file());
    snprintf(profile + len, sizeof profile - (size_t)len, "host = \"%s\"\n%s\n", hosts, more);
}

static inline void make_context(void) {
    describe(server_name(server), "");
    ctx = dplx_ctx_new(profile);
    REQUIRE(ctx, "a context is made");
}

static inline void free_context(void) {
    dplx_ctx_free(ctx);
    ctx = NULL;
}

static inline void nobody_is_blamed(void) {
    dplx_host_stats_t hosts[4] = {{.size = sizeof *hosts}};
    int i, count = ctx ? dplx_host_stats(ctx, hosts, 4) : 0, available = 0;

    for (i = 0; i < count && i < 4; i++)
        available += hosts[i].state == DPLX_HOST_AVAILABLE;
    if (ctx && available == 0)
        complain("the host is blamed");
}

#endif
