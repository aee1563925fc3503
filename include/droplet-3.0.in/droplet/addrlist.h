/* Hosts and lists of them. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DPL_ADDRLIST_H__
#define __DPL_ADDRLIST_H__ 1

#include <droplet.h>
#include <droplet/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif

/** The room that dpl_addr_get_ident() needs. */
#define DPL_ADDR_IDENT_STRLEN (INET6_ADDRSTRLEN + 1 + 5 + 1)

/** A host. It and each of host, portstr, hbuf and h are blocks from malloc. */
struct dpl_addr {
    char *host;
    char *portstr;
    char *hbuf; /**< what h points to */
    struct hostent *h;
    u_short port;
    time_t blacklist_expire_timestamp; /**< 0: may be used; -1: out for good; else until that second */
    LIST_ENTRY(dpl_addr) list;
};

LIST_HEAD(dpl_addrs, dpl_addr);

/** A list of hosts, to be walked under dpl_addrlist_lock(). */
struct dpl_addrlist {
    struct dpl_addrs addr_list;
    char *default_port;
    pthread_mutex_t lock;
};

@functions src/exports/addrlist.rs

@functions src/exports/addrlist_query.rs

#ifdef __cplusplus
}
#endif

#endif
