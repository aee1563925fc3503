/* Certificates made at run time, by an authority of this program's own. */
#ifndef SUPPORT_CERTIFICATE_H
#define SUPPORT_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Are the tests to run over TLS? (DROPLET_TEST_TLS=1) */
bool tls_wanted(void);

/* The authority's certificate, for a profile's ssl_ca_list. */
const char *authority_file(void);

/* For a server whose certificate bears these names (as in subjectAltName; NULL: loopback's; "":
 * none but its common name, "loopback server"). */
SSL_CTX *server_tls_new(const char *names);

/* Reasons to refuse a certificate. */
enum flaw { FLAWLESS, UNTRUSTED, EXPIRED, NOT_YET_VALID, REVOKED };

/* As server_tls_new(), with a certificate that has this flaw. */
SSL_CTX *server_tls_flawed(const char *names, enum flaw flaw);

/* The authority's list of the certificates it has revoked so far, for a profile's ssl_crl_list. */
const char *revocations_file(void);

/* A certificate and its key in one file: a client's, for ssl_cert_file and ssl_key_file, and that
 * of a server of another make. */
const char *client_identity_file(void);
const char *server_identity_file(const char *names);

/* Has a server insist on a certificate of the authority's from its clients. */
void require_client_certificate(SSL_CTX *tls);

#endif
