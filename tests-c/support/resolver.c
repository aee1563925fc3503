#include "support/resolver.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static atomic_bool in_use;

void resolve_test_names(void) {
    in_use = true;
}

static bool is_test_name(const char *name) {
    size_t len = name ? strlen(name) : 0;

    if (len > 0 && name[len - 1] == '.')
        len--;
    return len > 5 && strncmp(name + len - 5, ".test", 5) == 0;
}

/* Stands before libc's, for the program and all of its libraries. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    look_up *libc_one = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");

    return libc_one(in_use && is_test_name(name) ? "127.0.0.1" : name, service, hints, found);
}
