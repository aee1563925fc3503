#include "support/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

dpl_addrlist_t *list_of(const char *hosts) {
    dpl_addrlist_t *list = dpl_addrlist_create_from_str("80", hosts);

    REQUIRE(list, "a list of \"%s\" is made", hosts);
    return list;
}

unsigned available(dpl_addrlist_t *list) {
    unsigned n;

    dpl_addrlist_lock(list);
    n = dpl_addrlist_count_avail_nolock(list);
    dpl_addrlist_unlock(list);
    return n;
}

dpl_addr_t *named(dpl_addrlist_t *list, const char *host, const char *port) {
    dpl_addr_t *addr;

    dpl_addrlist_lock(list);
    addr = dpl_addrlist_get_byname_nolock(list, host, port);
    dpl_addrlist_unlock(list);
    return addr;
}

bool text_is(dpl_addrlist_t *list, const char *expected) {
    char *text = dpl_addrlist_get(list);
    bool good = text && strcmp(text, expected) == 0;

    free(text);
    return good;
}
