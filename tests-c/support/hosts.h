/* Host lists without a context. */
#ifndef SUPPORT_HOSTS_H
#define SUPPORT_HOSTS_H

#include <stdbool.h>

#include "droplet.h"

/* A list of these hosts, with 80 as default port. */
dpl_addrlist_t *list_of(const char *hosts);

/* Number of hosts that are not blacklisted. */
unsigned available(dpl_addrlist_t *list);

/* The entry of this host; NULL if there is none. */
dpl_addr_t *named(dpl_addrlist_t *list, const char *host, const char *port);

bool text_is(dpl_addrlist_t *list, const char *expected);

#endif
