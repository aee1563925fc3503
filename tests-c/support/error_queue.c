#include "support/error_queue.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

#include "support/check.h"

enum { OWN = 3 };

static const struct {
    const char *file;
    const char *function;
    const char *data;
    int line;
    int library;
    int reason;
} own[OWN] = {
    {"program.c", "load_key", "no such file: key.pem", 11, ERR_LIB_PEM, PEM_R_NO_START_LINE},
    {"other.c", "check", "", 22, ERR_LIB_X509, X509_R_CERT_ALREADY_IN_HASH_TABLE},
    {"program.c", "finish", "a third", 33, ERR_LIB_USER, 77},
};

const char *tls_error_text(int reason) {
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
    return ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
}

void raise_own(int n) {
    ERR_clear_error();
    for (int i = 0; i < n; i++) {
        ERR_new();
        ERR_set_debug(own[i].file, own[i].line, own[i].function);
        if (*own[i].data)
            ERR_set_error(own[i].library, own[i].reason, "%s", own[i].data);
        else
            ERR_set_error(own[i].library, own[i].reason, NULL);
    }
}

/* Takes the next error off the queue. */
static bool is_own(int i) {
    const char *file = "";
    const char *function = "";
    const char *data = "";
    int line = 0;
    int flags = 0;
    unsigned long code = ERR_get_error_all(&file, &line, &function, &data, &flags);

    return ERR_GET_LIB(code) == own[i].library && ERR_GET_REASON(code) == own[i].reason &&
           strcmp(file, own[i].file) == 0 && line == own[i].line &&
           strcmp(function, own[i].function) == 0 && strcmp(data, own[i].data) == 0;
}

bool are_own(int n) {
    bool good = true;

    for (int i = 0; i < n; i++)
        good = is_own(i) && good;
    return good;
}

/* The act, with an empty queue and with one that holds the program's errors. */
void check_leaves_queue(const char *what, void (*act)(void *), void *arg) {
    unsigned long left;

    ERR_clear_error();
    act(arg);
    left = ERR_peek_error();
    CHECK(left == 0, "%s: an empty queue stays empty", what);
    if (left)
        fprintf(stderr, "# %s\n", ERR_error_string(left, NULL));
    raise_own(OWN);
    act(arg);
    CHECK(are_own(OWN), "%s: the program's errors stay, in order", what);
    left = ERR_peek_error();
    CHECK(left == 0, "%s: and no other is added", what);
    if (left)
        fprintf(stderr, "# %s\n", ERR_error_string(left, NULL));
    ERR_clear_error();
}
