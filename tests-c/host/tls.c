#include "tls.h"

#include <openssl/err.h>
#include <stdbool.h>

static bool load_ca_list(SSL_CTX *tls, const char *path) {
    if (!path)
        return SSL_CTX_set_default_verify_paths(tls) == 1;
    return SSL_CTX_load_verify_locations(tls, path, NULL) == 1;
}

static bool load_crl_list(SSL_CTX *tls, const char *path) {
    X509_STORE *store = SSL_CTX_get_cert_store(tls);
    X509_LOOKUP *lookup;

    if (!path)
        return true;
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    return lookup && X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) > 0 &&
           X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

static bool load_identity(SSL_CTX *tls, const char *cert_file, const char *key_file) {
    if (!cert_file)
        return true;
    return SSL_CTX_use_certificate_chain_file(tls, cert_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(tls, key_file ? key_file : cert_file, SSL_FILETYPE_PEM) == 1;
}

dpl_status_t host_tls_init(dpl_ctx_t *ctx) {
    SSL_CTX *tls = SSL_CTX_new(ctx->ssl_method ? ctx->ssl_method : TLS_method());

    ctx->ssl_ctx = tls;
    if (!tls || SSL_CTX_set_cipher_list(tls, ctx->ssl_cipher_list) != 1 ||
        !load_ca_list(tls, ctx->ssl_ca_list) || !load_crl_list(tls, ctx->ssl_crl_list) ||
        !load_identity(tls, ctx->ssl_cert_file, ctx->ssl_key_file)) {
        dpl_ssl_perror(ctx, "tls.c", __func__, __LINE__, "cannot set up TLS");
        return DPL_FAILURE;
    }
    SSL_CTX_set_verify(tls, ctx->cert_verif ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return DPL_SUCCESS;
}
