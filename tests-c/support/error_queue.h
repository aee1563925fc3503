/* OpenSSL's error queue of the calling thread, with errors of the program's own in it. */
#ifndef SUPPORT_ERROR_QUEUE_H
#define SUPPORT_ERROR_QUEUE_H

#include <stdbool.h>

/* Leaves n errors in the queue, at most 3. */
void raise_own(int n);

/* Takes n errors off the queue. Are they those? */
bool are_own(int n);

/* The text of an error of OpenSSL's TLS, such as SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: versions differ in it. */
const char *tls_error_text(int reason);

/* Checks that the act changes neither an empty queue nor one that holds errors of the program. */
void check_leaves_queue(const char *what, void (*act)(void *), void *arg);

#endif
