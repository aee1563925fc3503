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

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct authority authority, stranger;
static char authority_path[128];
static STACK_OF(X509_REVOKED) * revoked;

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

static void sign(X509 *certificate, const struct authority *by) {
    X509_set_issuer_name(certificate, X509_get_subject_name(by->certificate));
    if (X509_sign(certificate, by->key, EVP_sha256()) == 0)
        give_up();
}

/* A file of this process's own, to write PEM into. */
static FILE *create_file(char path[128], const char *name) {
    FILE *file;

    snprintf(path, 128, "%s/%s-%d.pem", scratch_dir(), name, getpid());
    file = fopen(path, "w");
    if (!file)
        give_up();
    return file;
}

static void free_authorities(void) {
    EVP_PKEY_free(authority.key);
    X509_free(authority.certificate);
    EVP_PKEY_free(stranger.key);
    X509_free(stranger.certificate);
    sk_X509_REVOKED_pop_free(revoked, X509_REVOKED_free);
}

static struct authority new_authority(const char *name) {
    struct authority made = {.key = EVP_EC_gen("P-256")};

    made.certificate = new_certificate(name, made.key, 1);
    add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(made.certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(made.certificate, &made);
    return made;
}

static void make_authorities(void) {
    FILE *file;

    if (authority.key)
        return;
    authority = new_authority("Loopback Test Authority");
    stranger = new_authority("An Authority That Nobody Trusts");
    revoked = sk_X509_REVOKED_new_null();
    atexit(free_authorities);
    file = create_file(authority_path, "authority");
    if (PEM_write_X509(file, authority.certificate) != 1 || fclose(file) != 0)
        give_up();
}

const char *authority_file(void) {
    make_authorities();
    return authority_path;
}

/* ---- certificates ------------------------------------------------------------------ */

static long next_serial(void) {
    static long serial = 1;

    return ++serial;
}

static void list_as_revoked(X509 *certificate) {
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -1);

    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate));
    X509_REVOKED_set_revocationDate(entry, now);
    sk_X509_REVOKED_push(revoked, entry);
    ASN1_TIME_free(now);
}

static void apply(X509 *certificate, enum flaw flaw) {
    if (flaw == EXPIRED)
        X509_gmtime_adj(X509_getm_notAfter(certificate), -60);
    if (flaw == NOT_YET_VALID)
        X509_gmtime_adj(X509_getm_notBefore(certificate), HOUR);
    if (flaw == REVOKED)
        list_as_revoked(certificate);
}

SSL_CTX *server_tls_flawed(const char *names, enum flaw flaw) {
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = new_certificate("loopback server", key, next_serial());

    make_authorities();
    apply(certificate, flaw);
    if (!names || *names)
        add_extension(certificate, NID_subject_alt_name, names ? names : LOOPBACK_NAMES);
    sign(certificate, flaw == UNTRUSTED ? &stranger : &authority);
    if (SSL_CTX_use_certificate(tls, certificate) != 1 || SSL_CTX_use_PrivateKey(tls, key) != 1)
        give_up();
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}

SSL_CTX *server_tls_new(const char *names) {
    return server_tls_flawed(names, FLAWLESS);
}

const char *revocations_file(void) {
    static char path[128];
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *then = X509_gmtime_adj(NULL, -HOUR);
    FILE *file = create_file(path, "revocations");

    make_authorities();
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(authority.certificate));
    X509_CRL_set1_lastUpdate(list, then);
    X509_gmtime_adj(then, HOUR);
    X509_CRL_set1_nextUpdate(list, then);
    for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++)
        X509_CRL_add0_revoked(list, X509_REVOKED_dup(sk_X509_REVOKED_value(revoked, i)));
    if (X509_CRL_sign(list, authority.key, EVP_sha256()) == 0 ||
        PEM_write_X509_CRL(file, list) != 1 || fclose(file) != 0)
        give_up();
    ASN1_TIME_free(then);
    X509_CRL_free(list);
    return path;
}

/* ---- files of both ----------------------------------------------------------------- */

static void write_identity(char path[128], const char *who, X509 *certificate, EVP_PKEY *key) {
    FILE *file = create_file(path, who);

    make_authorities();
    sign(certificate, &authority);
    if (PEM_write_X509(file, certificate) != 1 ||
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1 || fclose(file) != 0)
        give_up();
    X509_free(certificate);
    EVP_PKEY_free(key);
}

const char *client_identity_file(void) {
    static char path[128];
    EVP_PKEY *key = EVP_EC_gen("P-256");

    write_identity(path, "client", new_certificate("loopback client", key, next_serial()), key);
    return path;
}

const char *server_identity_file(const char *names) {
    static char path[128];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = new_certificate("loopback server", key, next_serial());

    add_extension(certificate, NID_subject_alt_name, names ? names : LOOPBACK_NAMES);
    write_identity(path, "server", certificate, key);
    return path;
}

void require_client_certificate(SSL_CTX *tls) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), authority.certificate);
    SSL_CTX_add_client_CA(tls, authority.certificate);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}
