/* Certificates made at run time, by an authority of this program's own. */
#ifndef SUPPORT_CERTIFICATE_H
#define SUPPORT_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Are the tests to run over TLS? (DROPLET_TEST_TLS=1) */
bool tls_wanted(void);

/* The authority's certificate, for a profile's ssl_ca_list. */
const char *authority_file(void);

/* For a server whose certificate bears these names (as in subjectAltName; NULL: loopback's). */
SSL_CTX *server_tls_new(const char *names);

#endif
