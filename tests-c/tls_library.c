/* A second OpenSSL in the process: a context whose SSL_CTX was made by that one gets no pool. */
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/scratch.h"

/* A copy of the libssl that this program uses, as another library. */
static void *other_libssl(void) {
    static char path[256];
    char command[600];
    Dl_info ours;

    REQUIRE(dladdr(TLS_method(), &ours) && ours.dli_fname, "libssl is a library");
    snprintf(path, sizeof path, "%s/libssl-other.so", scratch_dir());
    snprintf(command, sizeof command, "cp -L '%s' '%s'", ours.dli_fname, path);
    REQUIRE(system(command) == 0, "it is copied");
    return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
}

/* Makes the pool anew, as Droplet does for a context that has none yet. */
static dpl_status_t pool_with(dpl_ctx_t *ctx, void *tls) {
    void *own = ctx->ssl_ctx;
    dpl_status_t status;

    dpl_conn_pool_destroy(ctx);
    ctx->ssl_ctx = tls;
    status = dpl_conn_pool_init(ctx);
    if (status != DPL_SUCCESS) {
        ctx->ssl_ctx = own;
        REQUIRE(dpl_conn_pool_init(ctx) == DPL_SUCCESS, "with its own it gets one");
    }
    return status;
}

static void context_of_another_openssl_is_refused(void) {
    void *other = other_libssl();
    SSL_CTX *(*new_context)(const SSL_METHOD *);
    const SSL_METHOD *(*method)(void);
    void (*free_context)(SSL_CTX *);
    dpl_ctx_t *ctx = context_over("127.0.0.1:1", "");
    SSL_CTX *foreign;
    void *own;

    REQUIRE(other && ctx, "a second libssl is loaded, and a context made");
    new_context = (SSL_CTX * (*)(const SSL_METHOD *)) dlsym(other, "SSL_CTX_new");
    method = (const SSL_METHOD *(*)(void))dlsym(other, "TLS_client_method");
    free_context = (void (*)(SSL_CTX *))dlsym(other, "SSL_CTX_free");
    foreign = new_context(method());
    REQUIRE(foreign && method() != TLS_client_method(), "which makes an SSL_CTX of its own");
    own = ctx->ssl_ctx;
    logs_collect();
    CHECK_STATUS(pool_with(ctx, foreign), DPL_FAILURE, "a context with that gets no pool");
    CHECK_INT(logs_with("libssl-other.so"), 1, "the log names the other");
    CHECK_INT(logs_with(OpenSSL_version(OPENSSL_VERSION)), 1, "and ours");
    CHECK_STATUS(pool_with(ctx, NULL), DPL_SUCCESS, "one without TLS gets one");
    CHECK_STATUS(pool_with(ctx, own), DPL_SUCCESS, "and one with ours");
    CHECK_INT(logs_count(), 1, "nothing is logged about either");
    free_context(foreign);
    dpl_ctx_free(ctx);
}

/* Looks like an SSL_CTX of OpenSSL 1.1: the method comes first, and most of the rest is pointers to
 * the heap. */
static void context_of_an_older_openssl_is_refused(void) {
    dpl_ctx_t *ctx = context_over("127.0.0.1:1", "");
    void *older[64];

    REQUIRE(ctx, "a context is made");
    for (size_t i = 0; i < sizeof older / sizeof *older; i++)
        older[i] = malloc(1);
    logs_collect();
    CHECK_STATUS(pool_with(ctx, older), DPL_FAILURE, "it gets no pool");
    CHECK_INT(logs_with("another OpenSSL"), 1, "the log says why");
    for (size_t i = 0; i < sizeof older / sizeof *older; i++)
        free(older[i]);
    dpl_ctx_free(ctx);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_library");
    RUN(context_of_another_openssl_is_refused);
    RUN(context_of_an_older_openssl_is_refused);
    return test_end();
}
