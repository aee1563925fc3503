#include "support/load.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

/* The object that a symbol's definition in use lies in. */
static const char *object_of(const void *address) {
    Dl_info info;

    return dladdr(address, &info) ? info.dli_fname : "";
}

bool replacement_in_use(void) {
    void *dynamic = dlsym(RTLD_DEFAULT, "dpl_try_connect");
    void *own = dlsym(RTLD_DEFAULT, "dplx_version"); /* which no Droplet has */

    if (dynamic)
        return own && strcmp(object_of(dynamic), object_of(own)) == 0;
    /* Linked statically: nobody but the executable itself has the symbol. */
    return strcmp(object_of((const void *)(uintptr_t)dpl_try_connect),
                  object_of((const void *)(uintptr_t)check_replacement)) == 0;
}

void check_replacement(void) {
    bool replaced = CHECK(replacement_in_use(), "dpl_try_connect is the replacement's");
    bool versioned = CHECK(dplx_version != NULL, "dplx_version is there");

    if (!replaced || !versioned)
        exit(test_end());
}
