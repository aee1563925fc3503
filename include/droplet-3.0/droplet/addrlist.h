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
 * @param default_port the port of hosts that name none; NULL for "80"
 * @return the list, to be freed with dpl_addrlist_free(); NULL if memory is out
 *
 * @pre `default_port` is NULL or a string.
 */
dpl_addrlist_t *dpl_addrlist_create(const char *default_port);

/**
 * Makes a list of the hosts in a string. One whose name has no address is in the list all the same, if
 * another has one: it is looked up again when its turn comes.
 *
 * @param default_port the port of hosts that name none; NULL for "80"
 * @param addrlist_str hosts, separated by `;`, `,` or white space, each with a port after a colon or not; an
 *        IPv6 address that is followed by a port stands in brackets. What follows the digits of a port, or a
 *        slash, has no effect
 * @return the list, to be freed with dpl_addrlist_free(); NULL if a host is malformed or none has an address,
 *         or for a NULL string
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
 * Takes the lock under which C may walk the list. The thread that has it may take it again.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list.
 */
void dpl_addrlist_lock(dpl_addrlist_t *addrlist);

/**
 * Gives the lock back.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list.
 */
void dpl_addrlist_unlock(dpl_addrlist_t *addrlist);

/**
 * Adds a host, at a random place of the list. One whose address and port are there already is not added
 * twice: its blacklisting is lifted.
 *
 * @param addrlist the list
 * @param host a name, which is looked up, or a literal address
 * @param portstr a decimal port; NULL for the list's default
 * @return DPL_SUCCESS; DPL_EINVAL for a NULL host, or for what is no host or no port; DPL_FAILURE if the name
 *         has no address, or for a NULL list; DPL_ENOMEM
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_status_t dpl_addrlist_add(dpl_addrlist_t *addrlist,
                              const char *host,
                              const char *portstr);

/**
 * Adds the hosts in a string, those before the first that fails.
 *
 * @param addrlist the list
 * @param addrlist_str as in dpl_addrlist_create_from_str()
 * @return as dpl_addrlist_add() for the first host that fails; DPL_FAILURE for NULL
 *
 * @pre `addrlist` is NULL or a list; `addrlist_str` is NULL or a string.
 */
dpl_status_t dpl_addrlist_add_from_str(dpl_addrlist_t *addrlist, const char *addrlist_str);

/**
 * Replaces the hosts of a list by those in a string. Hosts that are in both, by the same name and port, stay as
 * they are, with their connections, and become available; requests that use a host that leaves are not
 * disturbed.
 *
 * @param addrlist the list
 * @param addrlist_str as in dpl_addrlist_create_from_str()
 * @return as dpl_addrlist_add() for the first host that fails; the list is then unchanged. DPL_FAILURE for
 *         NULL
 *
 * @pre `addrlist` is NULL or a list; `addrlist_str` is NULL or a string.
 */
dpl_status_t dpl_addrlist_set_from_str(dpl_addrlist_t *addrlist,
                                       const char *addrlist_str);

/**
 * Puts a host into the list that the caller made, at a random place. The list owns it from then on.
 *
 * @param addrlist the list; NULL has no effect
 * @param addr the host; it and each of `host`, `portstr`, `hbuf` and `h` are blocks from malloc
 *
 * @pre `addrlist` is NULL or a list whose lock the caller holds; `addr` is NULL or points to a valid
 * `dpl_addr_t` that is in no list.
 */
void dpl_addrlist_add_nolock(dpl_addrlist_t *addrlist, dpl_addr_t *addr);

/**
 * Takes a host out of the list. It is the caller's then, who frees it and its parts with free().
 *
 * @param addrlist the list; NULL has no effect
 * @param addr a host of the list; any other has no effect
 *
 * @pre `addrlist` is NULL or a list whose lock the caller holds.
 */
void dpl_addrlist_remove_nolock(dpl_addrlist_t *addrlist, dpl_addr_t *addr);

/**
 * Empties the list and frees the hosts that were in it.
 *
 * @param addrlist the list; NULL has no effect
 *
 * @pre `addrlist` is NULL or a list whose lock the caller holds.
 */
void dpl_addrlist_clear_nolock(dpl_addrlist_t *addrlist);

/**
 * The hosts as text.
 *
 * @param addrlist the list, or NULL for none
 * @return `IP:PORT,IP:PORT` in list order, IPv6 in brackets, so that it can be read as a list again; a host
 *         without an address by its name. "" if there is none; to be freed with free(). NULL if memory is out
 *
 * @pre `addrlist` is NULL or a list.
 */
char *dpl_addrlist_get(dpl_addrlist_t *addrlist);

/**
 * How many hosts there are.
 *
 * @param addrlist the list, or NULL for none
 *
 * @pre `addrlist` is NULL or a list.
 */
unsigned int dpl_addrlist_count(dpl_addrlist_t *addrlist);

/**
 * How many hosts there are.
 *
 * @param addrlist the list, or NULL for none
 *
 * @pre `addrlist` is NULL or a list.
 */
unsigned int dpl_addrlist_count_nolock(dpl_addrlist_t *addrlist);

/**
 * How many hosts are not blacklisted, or no longer.
 *
 * @param addrlist the list, or NULL for none
 *
 * @pre `addrlist` is NULL or a list.
 */
unsigned int dpl_addrlist_count_avail_nolock(dpl_addrlist_t *addrlist);

/**
 * Lifts the blacklistings whose time is up.
 *
 * @param addrlist the list, or NULL for none
 * @return DPL_SUCCESS; DPL_FAILURE for NULL
 *
 * @pre `addrlist` is NULL or a list.
 */
dpl_status_t dpl_addrlist_refresh_blacklist_nolock(dpl_addrlist_t *addrlist);

/**
 * The n-th of the hosts that are not blacklisted, counted from 0 and from the start again after the last.
 *
 * @param addrlist the list, or NULL for none
 * @param n the number
 * @param addrp receives the host, which the list owns; NULL if there is none
 * @return DPL_SUCCESS; DPL_ENOENT if there is none; DPL_EINVAL if `addrp` is NULL or `n` negative
 *
 * @pre `addrlist` is NULL or a list; `addrp` is NULL or writable.
 */
dpl_status_t dpl_addrlist_get_nth(dpl_addrlist_t *addrlist,
                                  int n,
                                  dpl_addr_t **addrp);

/**
 * Any of the hosts that are not blacklisted.
 *
 * @param addrlist the list, or NULL for none
 * @param addrp receives the host, which the list owns; NULL if there is none
 * @return as dpl_addrlist_get_nth()
 *
 * @pre `addrlist` is NULL or a list; `addrp` is NULL or writable.
 */
dpl_status_t dpl_addrlist_get_rand(dpl_addrlist_t *addrlist, dpl_addr_t **addrp);

/**
 * The host of this name and port, or else at an address that the name leads to.
 *
 * @param addrlist the list, or NULL for none
 * @param host a name, which may be looked up, or a literal address
 * @param portstr a decimal port
 * @return the host, which the list owns; NULL if it is not in the list
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_addr_t *dpl_addrlist_get_byname_nolock(dpl_addrlist_t *addrlist,
                                           const char *host,
                                           const char *portstr);

/**
 * The host at this address and port: of several the one that has most of these addresses.
 *
 * @param addrlist the list, or NULL for none
 * @param host an address, or several
 * @param port the port, in host byte order
 * @return the host, which the list owns; NULL if it is not in the list
 *
 * @pre `addrlist` is NULL or a list; `host` is NULL or points to a valid `hostent`.
 */
dpl_addr_t *dpl_addrlist_get_byip_nolock(dpl_addrlist_t *addrlist,
                                         struct hostent *host,
                                         unsigned short port);

/**
 * Blacklists a host.
 *
 * @param addrlist the list
 * @param host as in dpl_addrlist_get_byname_nolock()
 * @param portstr a decimal port
 * @param expiretime for how long, in seconds; -1 for good. With any other negative number it has expired
 * @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE for a NULL list; DPL_EINVAL if
 *         `host` or `portstr` is NULL
 *
 * @pre `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
 */
dpl_status_t dpl_addrlist_blacklist(dpl_addrlist_t *addrlist,
                                    const char *host,
                                    const char *portstr,
                                    time_t expiretime);

/**
 * Lifts a host's blacklisting.
 *
 * @param addrlist the list
 * @param host as in dpl_addrlist_get_byname_nolock()
 * @param portstr a decimal port
 * @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE for a NULL list; DPL_EINVAL if
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
 * @param host an address, the first of which counts
 * @param port the port, in host byte order
 * @param buf receives the text; DPL_ADDR_IDENT_STRLEN (53) bytes are enough for any
 * @param size_max the size of `buf` in bytes
 * @return `buf`, with as much of the text as fits and a NUL; a constant "" if nothing fits; NULL if an
 *         argument is NULL
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
