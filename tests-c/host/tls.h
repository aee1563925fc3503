/* Puts the TLS settings of the profile into an SSL_CTX. */
#ifndef HOST_TLS_H
#define HOST_TLS_H

#include "droplet.h"

/* Sets ctx->ssl_ctx; on failure logs why. */
__attribute__((visibility("hidden"))) dpl_status_t host_tls_init(dpl_ctx_t *ctx);

#endif
