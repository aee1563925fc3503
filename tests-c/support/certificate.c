#include "support/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/scratch.h"

#define LOOPBACK_NAMES "DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,IP:127.0.0.4,IP:::1"

enum { HOUR = 3600 };

static struct {
    EVP_PKEY *key;
    X509 *certificate;
    char file[128];
} authority;

static _Noreturn void give_up(void) {
    ERR_print_errors_fp(stderr);
    exit(EXIT_FAILURE);
}

bool tls_wanted(void) {
    const char *value = getenv("DROPLET_TEST_TLS");

    return value && strcmp(value, "1") == 0;
}

static void add_extension(X509 *certificate, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    if (!extension || X509_add_ext(certificate, extension, -1) != 1)
        give_up();
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(const char *common_name, EVP_PKEY *key, long serial) {
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -HOUR);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * HOUR);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1,
                               0);
    X509_set_pubkey(certificate, key);
    return certificate;
}

static void sign(X509 *certificate) {
    X509_set_issuer_name(certificate, X509_get_subject_name(authority.certificate));
    if (X509_sign(certificate, authority.key, EVP_sha256()) == 0)
        give_up();
}

static void write_authority(void) {
    FILE *file;

    snprintf(authority.file, sizeof authority.file, "%s/authority-%d.pem", scratch_dir(), getpid());
    file = fopen(authority.file, "w");
    if (!file || PEM_write_X509(file, authority.certificate) != 1 || fclose(file) != 0)
        give_up();
}

static void free_authority(void) {
    EVP_PKEY_free(authority.key);
    X509_free(authority.certificate);
}

static void make_authority(void) {
    if (authority.key)
        return;
    authority.key = EVP_EC_gen("P-256");
    authority.certificate = new_certificate("Loopback Test Authority", authority.key, 1);
    add_extension(authority.certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(authority.certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(authority.certificate);
    write_authority();
    atexit(free_authority);
}

const char *authority_file(void) {
    make_authority();
    return authority.file;
}

SSL_CTX *server_tls_new(const char *names) {
    static long serial = 1;
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = new_certificate("loopback server", key, ++serial);

    make_authority();
    add_extension(certificate, NID_subject_alt_name, names ? names : LOOPBACK_NAMES);
    sign(certificate);
    if (SSL_CTX_use_certificate(tls, certificate) != 1 || SSL_CTX_use_PrivateKey(tls, key) != 1)
        give_up();
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}
