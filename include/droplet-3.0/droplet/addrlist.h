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

/**
 * Makes an empty list of hosts.
 *
 * @param default_port the decimal port of hosts that are given without one; NULL for "80"
 * @return the list, which the caller frees with dpl_addrlist_free(); NULL if memory runs out
 *
 * @pre `default_port` is NULL or a string.
 */
dpl_addrlist_t *dpl_addrlist_create(const char *default_port);

/**
 * Makes a list of the hosts in a string. At least one host must have an address. Names without an address are in the
 * list as well, and are looked up again when their turn comes. All names are looked up at the same time, for 5 seconds
 * at most.
 *
 * @param default_port the decimal port of hosts that are given without one; NULL for "80"
 * @param addrlist_str the hosts, separated by `;`, `,` or white space: a blank, tab, line feed, form feed or carriage
 *        return, but no vertical tab. Each is a name or address, and may have a port after a colon. An IPv6 address
 *        with a port stands in brackets. Text behind the digits of a port, and text behind a slash, is ignored
 * @return the list, which the caller frees with dpl_addrlist_free(); NULL if a host is malformed, if no host has an
 *         address, or if `addrlist_str` is NULL
 *
 * @pre `default_port` and `addrlist_str` are NULL or strings.
 */
dpl_addrlist_t *dpl_addrlist_create_from_str(const char *default_port,
                                             const char *addrlist_str);

/**
 * Frees a list and the hosts in it.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list that nobody uses any more.
 */
void dpl_addrlist_free(dpl_addrlist_t *addrlist);

/**
 * Takes the lock under which a program may walk the list. The thread that holds it may take it again.
 *
 * A host (dpl_addr_t) that a function returns belongs to the list, and is valid until it leaves the list.
 * dpl_addrlist_set_from_str() frees the hosts that leave; dpl_addrlist_clear_nolock(), dpl_addrlist_free() and the free of
 * the context that has the list free all; dpl_addrlist_remove_nolock() gives the host to its caller. The first takes this
 * lock itself. So a program in which other threads change the list holds the lock from before the call that returns a
 * host until it does not use the host any more. The addresses of a host change only when a thread takes the lock, its
 * `blacklist_expire_timestamp` at any time.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list.
 */
void dpl_addrlist_lock(dpl_addrlist_t *addrlist);

/**
 * Releases the lock.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list.
 */
void dpl_addrlist_unlock(dpl_addrlist_t *addrlist);

/**
 * Adds a host at a random place of the list. A host whose address and port are in the list is not added again. Instead
 * the blacklisting of the one in the list is lifted. The name is looked up for 5 seconds at most.
 *
 * @param addrlist the list
 * @param host a name, which is looked up, or a literal address
 * @param portstr a decimal port; NULL for the list's default
 * @return DPL_SUCCESS; DPL_EINVAL if `host` is NULL or malformed, or `portstr` is malformed; DPL_FAILURE if the name
 *         has no address, or `addrlist` is NULL; DPL_ENOMEM
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_status_t dpl_addrlist_add(dpl_addrlist_t *addrlist,
                              const char *host,
                              const char *portstr);

/**
 * Adds the hosts in a string one after the other, and stops at the first that fails. If one is malformed, none is
 * added.
 *
 * @param addrlist the list
 * @param addrlist_str as in dpl_addrlist_create_from_str()
 * @return as dpl_addrlist_add(), for the first host that fails; DPL_FAILURE if an argument is NULL
 *
 * @pre `addrlist` is NULL or a list; `addrlist_str` is NULL or a string.
 */
dpl_status_t dpl_addrlist_add_from_str(dpl_addrlist_t *addrlist,
                                       const char *addrlist_str);

/**
 * Replaces the hosts of a list by those in a string. A host that is in both, by the same name and port, keeps its
 * connections, and becomes available. Requests that use a host that leaves go on. All names are looked up at the same
 * time, for 5 seconds at most.
 *
 * @param addrlist the list; unchanged on failure
 * @param addrlist_str as in dpl_addrlist_create_from_str()
 * @return as dpl_addrlist_add(), for the first host that fails; DPL_FAILURE if an argument is NULL
 *
 * @pre `addrlist` is NULL or a list; `addrlist_str` is NULL or a string.
 */
dpl_status_t dpl_addrlist_set_from_str(dpl_addrlist_t *addrlist,
                                       const char *addrlist_str);

/**
 * Puts a host that the caller made into the list, at a random place. The list then owns it. If `addrlist` or `addr` is
 * NULL, or the host's name or port is missing or malformed, that is logged, and the caller still owns it:
 * dpl_addrlist_count_nolock() is then the same as before.
 *
 * @param addrlist the list; NULL has no effect
 * @param addr the host. It and each of its `host`, `portstr`, `hbuf` and `h` are blocks from malloc()
 *
 * @pre `addrlist` is NULL or a list whose lock the caller holds; `addr` is NULL or points to a valid
 * `dpl_addr_t` that is in no list.
 */
void dpl_addrlist_add_nolock(dpl_addrlist_t *addrlist,
                             dpl_addr_t *addr);

/**
 * Takes a host out of the list. The caller then owns it, and frees it and its parts with free().
 *
 * @param addrlist the list; NULL has no effect
 * @param addr the host; one that is not in the list has no effect
 *
 * @pre `addrlist` is NULL or a list whose lock the caller holds.
 */
void dpl_addrlist_remove_nolock(dpl_addrlist_t *addrlist, dpl_addr_t *addr);

/**
 * Empties the list and frees its hosts.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list whose lock the caller holds.
 */
void dpl_addrlist_clear_nolock(dpl_addrlist_t *addrlist);

/**
 * Returns the hosts as text, which dpl_addrlist_create_from_str() accepts.
 *
 * @param addrlist the list; NULL counts as an empty one
 * @return `IP:PORT,IP:PORT` in the order of the list, IPv6 addresses in brackets, the name of a host without an
 *         address instead of one; "" for an empty list. The caller frees it with free(). NULL if memory runs out
 *
 * @pre `addrlist` is NULL or a list.
 */
char *dpl_addrlist_get(dpl_addrlist_t *addrlist);

/**
 * Returns the number of hosts.
 *
 * @param addrlist the list; NULL counts as an empty one
 *
 * @pre `addrlist` is NULL or a list.
 */
unsigned int dpl_addrlist_count(dpl_addrlist_t *addrlist);

/**
 * Returns the number of hosts.
 *
 * @param addrlist the list; NULL counts as an empty one
 *
 * @pre `addrlist` is NULL or a list.
 */
unsigned int dpl_addrlist_count_nolock(dpl_addrlist_t *addrlist);

/**
 * Returns the number of hosts that are not blacklisted now.
 *
 * @param addrlist the list; NULL counts as an empty one
 *
 * @pre `addrlist` is NULL or a list.
 */
unsigned int dpl_addrlist_count_avail_nolock(dpl_addrlist_t *addrlist);

/**
 * Lifts the blacklistings whose time is over.
 *
 * @param addrlist the list
 * @return DPL_SUCCESS; DPL_FAILURE if `addrlist` is NULL
 *
 * @pre `addrlist` is NULL or a list.
 */
dpl_status_t dpl_addrlist_refresh_blacklist_nolock(dpl_addrlist_t *addrlist);

/**
 * Gets the n-th of the hosts that are not blacklisted, modulo their number.
 *
 * @param addrlist the list; NULL counts as an empty one
 * @param n the number, counted from 0
 * @param addrp receives the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if there
 *        is none
 * @return DPL_SUCCESS; DPL_ENOENT if there is none; DPL_EINVAL if `addrp` is NULL or `n` is negative
 *
 * @pre `addrlist` is NULL or a list; `addrp` is NULL or writable.
 */
dpl_status_t dpl_addrlist_get_nth(dpl_addrlist_t *addrlist,
                                  int n,
                                  dpl_addr_t **addrp);

/**
 * Gets a random one of the hosts that are not blacklisted.
 *
 * @param addrlist the list; NULL counts as an empty one
 * @param addrp receives the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if there
 *        is none
 * @return as dpl_addrlist_get_nth()
 *
 * @pre `addrlist` is NULL or a list; `addrp` is NULL or writable.
 */
dpl_status_t dpl_addrlist_get_rand(dpl_addrlist_t *addrlist,
                                   dpl_addr_t **addrp);

/**
 * Finds the host of this name and port or, without one, the host at an address of the name.
 *
 * If no host of the list has this name, and it is no literal address, it is looked up, which takes 5 seconds at most.
 * With `DPLX_LOOK_UP=caller` in the environment it takes as long as the resolver does. Meanwhile the caller holds the
 * lock, so other threads that want it wait; calls that get connections do not take it.
 *
 * @param addrlist the list; NULL counts as an empty one
 * @param host a name, which may be looked up, or a literal address
 * @param portstr a decimal port
 * @return the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if it is not in the list
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_addr_t *dpl_addrlist_get_byname_nolock(dpl_addrlist_t *addrlist,
                                           const char *host,
                                           const char *portstr);

/**
 * Finds the host at this address and port. Of several it is the one that has most of the addresses.
 *
 * @param addrlist the list; NULL counts as an empty one
 * @param host one or more addresses
 * @param port the port, in host byte order
 * @return the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if it is not in the list
 *
 * @pre `addrlist` is NULL or a list; `host` is NULL or points to a valid `hostent`.
 */
dpl_addr_t *dpl_addrlist_get_byip_nolock(dpl_addrlist_t *addrlist,
                                         struct hostent *host,
                                         unsigned short port);

/**
 * Blacklists a host. The call may look its name up, and take as long as dpl_addrlist_get_byname_nolock().
 *
 * @param addrlist the list
 * @param host as in dpl_addrlist_get_byname_nolock()
 * @param portstr a decimal port
 * @param expiretime the time in seconds; -1 is for good. Any other negative number counts as 0
 * @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE if `addrlist` is NULL; DPL_EINVAL if
 *         `host` or `portstr` is NULL
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_status_t dpl_addrlist_blacklist(dpl_addrlist_t *addrlist,
                                    const char *host,
                                    const char *portstr,
                                    time_t expiretime);

/**
 * Lifts a host's blacklisting. The call may look its name up, and take as long as dpl_addrlist_get_byname_nolock().
 *
 * @param addrlist the list
 * @param host as in dpl_addrlist_get_byname_nolock()
 * @param portstr a decimal port
 * @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE if `addrlist` is NULL; DPL_EINVAL if
 *         `host` or `portstr` is NULL
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_status_t dpl_addrlist_unblacklist(dpl_addrlist_t *addrlist,
                                      const char *host,
                                      const char *portstr);

/**
 * Writes an address as `IP:PORT`, IPv6 in brackets.
 *
 * @param host the address; only the first of several is used
 * @param port the port, in host byte order
 * @param buf receives the text, cut off at `size_max`, with a NUL. DPL_ADDR_IDENT_STRLEN (53) bytes are enough for any
 *        address
 * @param size_max the size of `buf` in bytes
 * @return `buf`; a constant "" if `size_max` is 0; NULL if an argument is NULL, or `host` has no address
 *
 * @pre `host` is NULL or points to a valid `hostent`; `buf` is NULL or writable for `size_max` bytes.
 */
char *dpl_addr_get_ident(struct hostent *host,
                         unsigned short port,
                         char *buf,
                         size_t size_max);

#ifdef __cplusplus
}
#endif

#endif
