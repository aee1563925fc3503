/* Names without a name server: in a program that calls this, getaddrinfo() knows some more. */
#ifndef SUPPORT_RESOLVER_H
#define SUPPORT_RESOLVER_H

/* From now on every name under .test (RFC 6761) leads to 127.0.0.1. */
void resolve_test_names(void);

#endif
