/*
 * droplet-conn: the connection subsystem of Scality Droplet.
 *
 * Generated from the Rust source by cbindgen; do not edit.
 *
 * Include it alone, or together with Droplet's own <droplet.h>, before or after it. Alone the types below are
 * opaque. The hosts, limits and timeouts are those of the context (dpl_ctx_t), which is read at every call.
 *
 * These rules hold for all functions:
 * - A string ends with a NUL, and is not used after the call.
 * - A NULL whose meaning is not documented is logged, and the function returns DPL_EINVAL or NULL or has no
 *   effect.
 * - A time in milliseconds that is less than -1 is refused in the same way: -1 alone is for ever.
 * - Any number of threads may call the functions at once. A connection is used by one thread at a time.
 * - No function changes the disposition of a signal or raises SIGPIPE.
 * - After a failure dplx_last_error() returns the reason.
 *
 * The functions whose names begin with dplx_ are not in Droplet. With them a program needs no Droplet:
 * 1. dplx_ctx_new() makes a context from the text of a profile.
 * 2. dplx_connect() gets a connection.
 * 3. dplx_conn_write() writes the request.
 * 4. dplx_reply_status(), dplx_reply_field() and dplx_reply_read() read a reply of HTTP to its end. Any other is read
 *    by dplx_conn_read(), and dplx_conn_reply_complete() says that it was read to its end.
 * 5. dpl_conn_release() gives the connection back.
 */


#ifndef DROPLET_CONN_H
#define DROPLET_CONN_H

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* The version of this header. That of the library in the process, which may be a later one, is dplx_version(). */
#define DPLX_VERSION "0.1.0"
#define DPLX_VERSION_MAJOR 0
#define DPLX_VERSION_MINOR 1
#define DPLX_VERSION_PATCH 0
/* For comparisons: 1002003 is 1.2.3. */
#define DPLX_VERSION_NUMBER (DPLX_VERSION_MAJOR * 1000000 + DPLX_VERSION_MINOR * 1000 + DPLX_VERSION_PATCH)

/* Droplet's types come from its header if there is one: some of them have no tag, so they cannot be declared twice. */
#if defined(__has_include) && !defined(__DROPLET_H__)
#if __has_include(<droplet.h>)
#include <droplet.h>
#endif
#endif

#ifndef __DROPLET_H__

/** A context: the settings of a profile, and the connections made with them. */
typedef struct dpl_ctx dpl_ctx_t;
/** A connection. */
typedef struct dpl_conn dpl_conn_t;
/** A request. */
typedef struct dpl_req dpl_req_t;
/** A host of a list. */
typedef struct dpl_addr dpl_addr_t;
/** A list of hosts. */
typedef struct dpl_addrlist dpl_addrlist_t;
/** A dictionary. Its functions are in Droplet and in libdroplet.so.0, not in libdroplet_conn. */
typedef struct dpl_dict dpl_dict_t;

/** Status of a call. Codes without a comment are not returned by this library. */
typedef enum {
  DPL_SUCCESS = 0,
  /** The host or the network failed, or no host is left. */
  DPL_FAILURE = -1,
  /** What was asked for is not there: the host is not in the list, the use is over, or the reply has status 404. */
  DPL_ENOENT = -2,
  /** An argument is invalid. */
  DPL_EINVAL = -3,
  /** The call timed out. */
  DPL_ETIMEOUT = -4,
  /** Out of memory. */
  DPL_ENOMEM = -5,
  /** The local system failed, for example because it is out of descriptors. */
  DPL_ESYS = -6,
  DPL_EIO = -7,
  /** `n_conn_max` of the context allows no further connection, or a body is longer than an unsigned int can say. */
  DPL_ELIMIT = -8,
  /** The name of a host is longer than DNS allows. */
  DPL_ENAMETOOLONG = -9,
  DPL_ENOTDIR = -10,
  DPL_ENOTEMPTY = -11,
  DPL_EISDIR = -12,
  DPL_EEXIST = -13,
  /** There is no Droplet in the process whose dictionary could hold the fields of a reply. */
  DPL_ENOTSUPP = -14,
  /** The reply has status 301 or 302. */
  DPL_EREDIRECT = -15,
  DPL_ETOOMANYREDIR = -16,
  DPL_ECONNECT = -17,
  /** The reply has status 403. */
  DPL_EPERM = -18,
  /** The reply has status 412. */
  DPL_EPRECOND = -19,
  /** The reply has status 409. */
  DPL_ECONFLICT = -20,
  /** The reply has status 416. */
  DPL_ERANGEUNAVAIL = -21
} dpl_status_t;

/**
 * Gets the name and the value of a field of a reply. A result other than DPL_SUCCESS ends the reading.
 * It must return: no longjmp() and no exception may leave it.
 */
typedef dpl_status_t (*dpl_header_func_t)(void *cb_arg, const char *header, const char *value);
/**
 * Gets bytes of the body of a reply, and their number. A result other than DPL_SUCCESS ends the reading.
 * It must return: no longjmp() and no exception may leave it.
 */
typedef dpl_status_t (*dpl_buffer_func_t)(void *cb_arg, char *buf, unsigned int len);

#endif

/** Not used, neither here nor in Droplet, which exports it. */
extern dpl_ctx_t *dpl_default_conn_ctx;


/**
 * Length of the arrays below. Elements beyond the constants above are 0, and reserved for later versions.
 */
#define DPLX_COUNTS 16

/**
 * Reason why a connection was closed: an index into `closed` of dplx_pool_stats_t.
 */
typedef enum {
  /**
   * The program terminated it.
   */
  DPLX_CLOSED_TERMINATED = 0,
  /**
   * It was released after an error.
   */
  DPLX_CLOSED_FAILED = 1,
  /**
   * It was released with unread bytes, or in the middle of a request or a reply.
   */
  DPLX_CLOSED_INCOMPLETE = 2,
  /**
   * The peer closed it while it was idle, or sent bytes that nobody asked for.
   */
  DPLX_CLOSED_STALE = 3,
  /**
   * It was idle for `conn_idle_time`, or nearly for as long as its server allows.
   */
  DPLX_CLOSED_EXPIRED = 4,
  /**
   * It was used as often as `n_conn_max_hits` or its server allows: a reply may have said that it was the last.
   */
  DPLX_CLOSED_USED_UP = 5,
  /**
   * It was closed at `n_conn_max`, to make room for another connection.
   */
  DPLX_CLOSED_EVICTED = 6,
  /**
   * Its host left the list, its address left the name of the host, or the TLS settings of the context changed.
   */
  DPLX_CLOSED_LEFT = 7,
  /**
   * Its host was blacklisted after a failure.
   */
  DPLX_CLOSED_HOST_OUT = 8
} dplx_closing_t;

/**
 * Fault of a host: an index into `failures` of dplx_host_stats_t.
 */
typedef enum {
  /**
   * The connection was refused.
   */
  DPLX_FAULT_REFUSED = 0,
  /**
   * There is no route to the host.
   */
  DPLX_FAULT_UNREACHABLE = 1,
  /**
   * The host did not answer within `conn_timeout`.
   */
  DPLX_FAULT_TIMED_OUT = 2,
  /**
   * The host reset or closed the connection while it was being made.
   */
  DPLX_FAULT_RESET = 3,
  /**
   * The TLS handshake failed for a reason that is not in this list.
   */
  DPLX_FAULT_TLS = 4,
  /**
   * The certificate was rejected.
   */
  DPLX_FAULT_CERTIFICATE = 5,
  /**
   * The name has no address.
   */
  DPLX_FAULT_NAME = 6,
  /**
   * A write to a new connection failed.
   */
  DPLX_FAULT_WRITE = 7,
  /**
   * A write timed out.
   */
  DPLX_FAULT_WRITE_TIMED_OUT = 8,
  /**
   * dpl_blacklist_host() was called, as Droplet does when a reply is missing or broken.
   */
  DPLX_FAULT_REPORTED = 9,
  /**
   * The local system is at fault, not the host: out of descriptors, memory or ports, local policy, or `n_conn_max`.
   */
  DPLX_FAULT_LOCAL = 10,
  /**
   * Any other fault.
   */
  DPLX_FAULT_OTHER = 11,
  /**
   * dpl_blacklist_host() was called after a complete reply, as Droplet does for a status of 5xx.
   */
  DPLX_FAULT_REPLIED = 12,
  /**
   * No fault: dpl_addrlist_blacklist() was called.
   */
  DPLX_FAULT_ORDERED = 13
} dplx_fault_t;

/**
 * State of a host: `state` of dplx_host_stats_t.
 */
typedef enum {
  /**
   * All checkouts may use it.
   */
  DPLX_HOST_AVAILABLE = 0,
  /**
   * An attempt to connect to it takes long. It is used only if no other host is left.
   */
  DPLX_HOST_SUSPECT = 1,
  /**
   * It is blacklisted.
   */
  DPLX_HOST_OUT = 2,
  /**
   * Its blacklisting is over. The next checkout probes it.
   */
  DPLX_HOST_DUE = 3,
  /**
   * One attempt probes it. All other checkouts use other hosts.
   */
  DPLX_HOST_PROBING = 4
} dplx_host_state_t;

/**
 * Log callback: a program's function for messages.
 *
 * @param user the pointer that was passed to dplx_set_log()
 * @param ctx the context that the message is about, or NULL
 * @param level 2 for a warning, 3 for an error
 * @param message the name of the function that was called and what went wrong, without a newline
 */
typedef void (*dplx_log_t)(void *user, dpl_ctx_t *ctx, int level, const char *message);

/**
 * Function that frees the `user` pointer of a log callback.
 *
 * @param user the pointer that was passed to dplx_set_log_owned()
 */
typedef void (*dplx_release_t)(void *user);

/**
 * Facts about a connection. The caller sets `size` to sizeof(dplx_conn_info_t).
 */
typedef struct {
  /**
   * The size of this struct in bytes. Later versions may add fields at its end. The library leaves out fields beyond
   * the caller's size, and sets fields that it does not know to 0.
   */
  size_t size;
  /**
   * The name that it is connected to: as in the profile, or `BUCKET.HOST`; NULL for a file. It is valid until the
   * connection is given back. As an argument of dpl_blacklist_host() it means this connection.
   */
  const char *host;
  /**
   * The port, valid as long as `host`; NULL for a file.
   */
  const char *port;
  /**
   * The version of TLS, a constant such as "TLSv1.3"; NULL without TLS.
   */
  const char *tls_version;
  /**
   * The cipher suite, a constant such as "TLS_AES_256_GCM_SHA384"; NULL without TLS.
   */
  const char *tls_cipher;
  /**
   * Bytes sent since the connection was opened, as the kernel counts them. They include the bytes of TLS itself.
   */
  uint64_t bytes_out;
  /**
   * Bytes received since the connection was opened, read or not.
   */
  uint64_t bytes_in;
  /**
   * Number of times that the connection was reused: 0 for a new one.
   */
  uint32_t reused;
  /**
   * 1 if a TLS session was resumed, else 0.
   */
  uint32_t tls_resumed;
  /**
   * The address that it is connected to, such as "127.0.0.1:80" or "[::1]:80"; "" for a file.
   */
  char peer[64];
} dplx_conn_info_t;

/**
 * Statistics of the connections of a context. The caller sets `size` to sizeof(dplx_pool_stats_t). Connections to
 * files do not count.
 */
typedef struct {
  /**
   * The size of this struct in bytes; see dplx_conn_info_t.
   */
  size_t size;
  /**
   * Idle connections.
   */
  uint64_t idle;
  /**
   * Connections in use.
   */
  uint64_t in_use;
  /**
   * Attempts to connect that are under way.
   */
  uint64_t connecting;
  /**
   * Connections that were opened since the context was made.
   */
  uint64_t created;
  /**
   * Checkouts that got an idle connection.
   */
  uint64_t reused;
  /**
   * Checkouts that found no idle connection to the host whose turn it was, and so had to connect or to wait. How many of
   * them waited at `n_conn_max` is in `limit_waits`.
   */
  uint64_t waits;
  /**
   * Those of the `waits` that failed.
   */
  uint64_t failed;
  /**
   * Total time of the `waits` in nanoseconds.
   */
  uint64_t waited_ns;
  /**
   * Longest of the `waits` in nanoseconds.
   */
  uint64_t longest_wait_ns;
  /**
   * Connections that were closed, indexed by dplx_closing_t.
   */
  uint64_t closed[DPLX_COUNTS];
  /**
   * Calls that wait at `n_conn_max` now; see dplx_ctx_set_wait().
   */
  uint64_t waiting;
  /**
   * Checkouts that began to wait at `n_conn_max`.
   */
  uint64_t limit_waits;
  /**
   * Those of the `limit_waits` whose time was over before there was a connection.
   */
  uint64_t limit_timeouts;
} dplx_pool_stats_t;

/**
 * Statistics of one host of a context. The caller sets `size` to sizeof(dplx_host_stats_t).
 */
typedef struct {
  /**
   * The size of this struct in bytes; see dplx_conn_info_t.
   */
  size_t size;
  /**
   * The name or literal address as in the profile, cut off after 255 bytes.
   */
  char host[256];
  /**
   * The port as in the profile.
   */
  char port[8];
  /**
   * The state of the host, a dplx_host_state_t.
   */
  int32_t state;
  /**
   * The fault it was last blacklisted for, a dplx_fault_t; -1 if it is available or suspect.
   */
  int32_t fault;
  /**
   * End of the blacklisting as a time(2); 0 if it is not blacklisted, -1 if it is for good.
   */
  int64_t blacklisted_until;
  /**
   * Idle connections to it.
   */
  uint64_t idle;
  /**
   * Attempts to connect to it, including those that found no address, or no room under `n_conn_max`.
   */
  uint64_t attempts;
  /**
   * TLS handshakes with a certificate.
   */
  uint64_t full_handshakes;
  /**
   * TLS handshakes that resumed a session.
   */
  uint64_t resumed_handshakes;
  /**
   * Attempts, writes and replies that failed, indexed by dplx_fault_t.
   */
  uint64_t failures[DPLX_COUNTS];
  /**
   * The time in milliseconds for which an idle connection to it is used, because its server closes it soon
   * afterwards; 0 if no such limit is known.
   */
  uint64_t idle_limit_ms;
  /**
   * The number of requests for which a connection to it is used, because its server closes it then; 0 if no such
   * limit is known.
   */
  uint64_t use_limit;
} dplx_host_stats_t;

#ifdef __cplusplus
extern "C" {
#endif

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

/**
 * Makes the connection pool of a context. Droplet calls this when it makes a context. The caller frees the pool with
 * dpl_conn_pool_destroy().
 *
 * @param ctx a new context in a layout of Droplet 3.0 since June 2014, or of Bareos. Its connection limits have
 *        their default values, which no profile changes
 * @return DPL_SUCCESS; DPL_FAILURE if the layout is unknown, or if the SSL_CTX was made by another OpenSSL than the
 *         one that this library is linked with; DPL_EINVAL if `ctx` is NULL; DPL_ENOMEM
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_status_t dpl_conn_pool_init(dpl_ctx_t *ctx);

/**
 * Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in use stay
 * usable. They are closed when they are given back.
 *
 * @param ctx the context. NULL and a context without a pool have no effect
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t` that no other thread uses.
 */
void dpl_conn_pool_destroy(dpl_ctx_t *ctx);

/**
 * Gets a connection for a request: an idle one that is still good, or a new one. Of several idle ones it is the one
 * released last. The connection belongs to the calling thread, which gives it back with dpl_conn_release() or
 * dpl_conn_terminate().
 *
 * The hosts of the profile take turns. A host that refuses, or does not answer within `conn_timeout` seconds, is
 * blacklisted for `blacklist_expiretime` seconds, and the next host is tried. If no other host is left, hosts that are
 * blacklisted for a reply are used all the same, and those that failed are probed before their time: 50 ms after the
 * failure, and then at doubling distance. If a host has not answered after 250 ms, or after an equal part of the time that
 * the call has left for all hosts, the next host is tried beside it, and the first that answers is used. If none
 * answers in time, an idle connection to a host that was not tried serves. With virtual hosting the connection is made
 * to `BUCKET.HOST`. A host is left out if that is longer than 253 characters, the most that fit into the 255 bytes of
 * RFC 1035, section 2.3.4.
 *
 * @param ctx the context. Its limits and timeouts are read at every call
 * @param req the request. Its `host` and `port` are set to the host of the connection, without a final dot and without
 *        a zone. The strings are freed with the request
 * @param connp receives the connection; unchanged on failure. If it is NULL, the connection is closed at once
 * @return DPL_SUCCESS; DPL_FAILURE if no host is left, and dplx_last_error() names each and why; DPL_ELIMIT if
 *         `n_conn_max` allows no further connection, at once or after the time of dplx_ctx_set_wait();
 *         DPL_ESYS if the system is out of descriptors or ports, or its routes or filters forbid every connect;
 *         DPL_ENOMEM; DPL_ENAMETOOLONG if all hosts are left out because `BUCKET.HOST` is too long; DPL_EINVAL if
 *         `ctx` or `req` is NULL, if the bucket contains a blank, a bracket or a control character (a line end), if
 *         the context has `use_https` and no SSL_CTX, or if it was freed during the call
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller
 * uses; `connp` is NULL or writable.
 */
dpl_status_t dpl_try_connect(dpl_ctx_t *ctx,
                             dpl_req_t *req,
                             dpl_conn_t **connp);

/**
 * Gets a connection to one host by name, idle or new. The host need not be in the profile. If it is, its idle
 * connections are used, its turn does not change, and a failure does not blacklist it.
 *
 * @param ctx the context
 * @param af not used: all addresses of the host are tried, of either family
 * @param host a name or a literal address
 * @param portstr a decimal port
 * @return the connection, which the caller gives back with dpl_conn_release() or dpl_conn_terminate(); NULL on failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
dpl_conn_t *dpl_conn_open_host(dpl_ctx_t *ctx,
                               int af,
                               const char *host,
                               const char *portstr);

/**
 * Makes a connection that reads from and writes to an open file, pipe or socket. It does not count as a connection of
 * the context.
 *
 * @param ctx the context
 * @param fd an open descriptor. The connection owns it; on failure the caller still does
 * @return the connection, which the caller gives back with dpl_conn_release(); that closes the descriptor. NULL on
 *         failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; nobody else closes `fd` once the call has succeeded.
 */
dpl_conn_t *dpl_conn_open_file(dpl_ctx_t *ctx,
                               int fd);

/**
 * Gives a connection back. It stays open for later requests, or is closed. It is closed if it failed, if bytes on it
 * are unread, if nothing came back since something was written, if its context was freed, or if it leads to a file.
 *
 * The descriptor in `conn->fd` is the one that is closed. A program that keeps the descriptor sets the field to -1.
 * A program that puts another descriptor there hands that over. `conn->host`, `conn->port` and `conn->read_buf` are
 * blocks from malloc(), which the program may free and replace, the first two by NULL as well. The blocks that are
 * there in the end are freed.
 *
 * @param conn the connection, which must not be used any more. NULL has no effect. A connection that was given back
 *        before is logged and left alone
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
void dpl_conn_release(dpl_conn_t *conn);

/**
 * Gives a connection back and closes it at once. Call this after an error, instead of dpl_conn_release().
 *
 * @param conn as in dpl_conn_release()
 *
 * @pre As for dpl_conn_release().
 */
void dpl_conn_terminate(dpl_conn_t *conn);

/**
 * Writes all entries of an iovec, in order. Without a byte in them nothing is sent. If it fails, the connection is
 * closed when it is given back. The host is blacklisted if the connection was new, or if the write timed out, unless
 * the host has sent a reply already.
 *
 * @param conn the connection
 * @param iov the entries, whose contents may be changed; may be NULL if `n_iov` is 0. An entry of length 0 may have
 *        any address, also NULL
 * @param n_iov the number of entries, without an upper limit
 * @param timeout the longest time without progress in seconds; -1 waits for ever, 0 does not wait
 * @return DPL_SUCCESS; DPL_ETIMEOUT; DPL_EINVAL if `conn` or `iov` is NULL or `n_iov` is negative; DPL_ENOMEM if memory
 *         runs out; DPL_FAILURE for any other reason
 *
 * @pre `conn` is NULL or came from a function of this library; `iov` is NULL or points to `n_iov` entries, each of which
 * describes readable memory.
 */
dpl_status_t dpl_conn_writev_all(dpl_conn_t *conn,
                                 struct iovec *iov,
                                 int n_iov,
                                 int timeout);

/**
 * Blacklists a host for the context's `blacklist_expiretime`, and closes its idle connections. Droplet calls this
 * when a reply is broken or has a status of 5xx.
 *
 * If `host` is the `host` field of a connection in use, the same pointer, the call is about that connection. It is
 * closed when it is given back. If its reply was complete, the idle connections of the host stay open. If it was
 * reused and nothing came back on it, the host is not blacklisted: the host had closed the connection while it was
 * idle.
 *
 * If `host` is neither the name of a host in the profile nor `BUCKET.HOST` of one that connections were made to nor a
 * literal address, it is looked up, which takes `conn_timeout` seconds at most. If that is negative, or with
 * `DPLX_LOOK_UP=caller` in the environment, it takes as long as the resolver does.
 *
 * @param ctx the context
 * @param host the host: its name in the profile, `BUCKET.HOST`, any name that leads to its address, or the `host`
 *        field of a connection in use
 * @param portstr a decimal port
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
void dpl_blacklist_host(dpl_ctx_t *ctx,
                        const char *host,
                        const char *portstr);

/**
 * Returns the version of this library. `DPLX_VERSION` is that of the header which a program was compiled with, and
 * `DPLX_VERSION_NUMBER` the same for comparisons: 1002003 is 1.2.3.
 *
 * @return a constant such as "0.1.0", which is not freed
 */
const char *dplx_version(void);

/**
 * Returns the reason why the last call of this thread failed. That is its last call of a function that returns a
 * status, a pointer or a number of bytes. Functions that return a constant text, such as dplx_fault_text(), or an
 * unsigned count, such as dpl_addrlist_count(), do not change the text. Functions that return nothing, such as those
 * that release and free, change it only if they are misused.
 *
 * @return a text such as "connect to 127.0.0.1:81: Connection refused", in UTF-8, of at most 1023 bytes. Several
 *         reasons are separated by "; ". It is "" if the call succeeded. The text belongs to the thread, is not
 *         freed, and changes with the thread's next call. Calls within a log callback have a text of their own: that
 *         of the call which logs comes back when the callback returns
 */
const char *dplx_last_error(void);

/**
 * Sets the log callback, which gets all messages. Without a log callback, messages about contexts from dplx_ctx_new()
 * are only the text of dplx_last_error(). Others go to Droplet's log, or to stderr if there is no Droplet.
 *
 * @param callback the function; NULL for none. Any thread may call it. Calls in other threads that have begun before
 *        it is replaced may still call it afterwards; dplx_set_log_owned() tells when that is over. It must return:
 *        no longjmp() and no exception
 * @param user the first argument of `callback`
 *
 * @pre `callback` is NULL or may be called with `user` from now on.
 */
void dplx_set_log(dplx_log_t callback,
                  void *user);

/**
 * Sets the log callback as dplx_set_log() does, and frees `user` when nobody uses it any more: when another call of
 * either function has replaced the callback, and the last thread that was in it has left it. The thread that
 * replaces the callback, or the last thread that leaves it, calls `release`. So no thread waits, and the callback
 * may itself set another. `release` is called once, but not when the program ends, and not in a forked child if
 * another thread was in the callback at the time of the fork.
 *
 * @param callback as in dplx_set_log(). If it is NULL, `release` is called at once
 * @param user the first argument of `callback`
 * @param release the function that frees `user`; NULL for none
 *
 * @pre `callback` is NULL or may be called with `user` until `release` is called; that is NULL or may be called
 * with `user` by any thread.
 */
void dplx_set_log_owned(dplx_log_t callback,
                        void *user,
                        dplx_release_t release);

/**
 * Gets a connection to one of the hosts of a context, idle or new, as dpl_try_connect() does, without a request.
 *
 * @param ctx the context
 * @param timeout_ms the longest time of the whole call in milliseconds: over all hosts, and with the wait at
 *        `n_conn_max` (dplx_ctx_set_wait()) and look-ups of names. -1 sets no such limit, 0 takes an idle connection to
 *        any of the hosts, or none
 * @return the connection, which the caller gives back with dpl_conn_release() or dpl_conn_terminate(); NULL on failure,
 *         and dplx_last_error() has the reason
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_conn_t *dplx_connect(dpl_ctx_t *ctx,
                         int timeout_ms);

/**
 * Gets a connection as dplx_connect() does, in a call that another thread can cancel. It can then cancel the use of the
 * connection likewise, until that is given back.
 *
 * @param ctx the context
 * @param req a request from dplx_req_new(), with a bucket or without one; its `host` and `port` are set as by
 *        dpl_try_connect(). NULL for a connection to a host itself
 * @param use a number from dplx_use_new(), for this call only. If the call fails, the use is over
 * @param timeout_ms as in dplx_connect()
 * @return as dplx_connect(); NULL also if the call was cancelled, or if `use` is over or another call has it
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller uses.
 */
dpl_conn_t *dplx_connect_cancellable(dpl_ctx_t *ctx,
                                     dpl_req_t *req,
                                     uint64_t use,
                                     int timeout_ms);

/**
 * Returns the number of a new use, for one call of dplx_connect_cancellable(). The number is known before the call, so
 * that another thread can cancel it at any time. A use lasts until its connection is given back, or the call fails.
 *
 * @return the number, which no other use has; 0 if memory is short. It takes some memory, which is freed when the use is
 *         over. A number that no call gets keeps its memory until the process ends
 */
uint64_t dplx_use_new(void);

/**
 * Returns the number of the present use of a connection, for dplx_cancel(): from now on another thread can cancel it.
 * The use lasts until the connection is given back; the next one has another number.
 *
 * @param conn the connection
 * @return the number; 0 if `conn` is NULL or not in use, or if memory is short
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
uint64_t dplx_conn_use(dpl_conn_t *conn);

/**
 * Cancels a use of a connection. Any thread may call this at any time, but no signal handler: it takes locks, which the
 * interrupted thread may hold.
 *
 * A call of dplx_connect_cancellable() for this use ends within 50 ms and returns NULL, also while it waits at
 * `n_conn_max` or for the look-up of a name. Reads and writes on the connection end at once, plain and over TLS:
 * dplx_conn_read(), dplx_conn_write() and dpl_conn_writev_all() return DPL_FAILURE, now and later, and the program's own
 * reads see the end. The thread that has the connection still gives it back, and it is closed then. The host is not
 * blamed. A connection to a file or pipe (dpl_conn_open_file()) cannot be shut down: a read or write that waits there goes
 * on waiting.
 *
 * A number is never used twice. So if the use is over, or ends at this moment, no other connection is affected. In a
 * forked child the uses of its parent are over.
 *
 * @param use the number, from dplx_use_new() or dplx_conn_use()
 * @return DPL_SUCCESS; DPL_ENOENT if the use is over
 */
dpl_status_t dplx_cancel(uint64_t use);

/**
 * Reads what there is, at least one byte, from a plain or TLS connection. Bytes that Droplet's reply reader has left
 * in its buffer come first.
 *
 * A program reads a reply either by this function or by dplx_reply_read(): bytes that are read here from the middle of a
 * reply are missing from what dplx_reply_read() reads afterwards.
 *
 * After a dplx_conn_read() or dplx_conn_write() a request counts as being under way: the connection is closed when
 * it is given back, unless dplx_conn_reply_complete() is called before.
 *
 * @param conn the connection
 * @param buffer receives the bytes
 * @param size the size of `buffer` in bytes, at least 1
 * @param timeout_ms the time to wait for the first byte in milliseconds; -1 waits for ever, 0 does not wait
 * @return the number of bytes; 0 at the end, when the peer sends no more; a negative dpl_status_t on failure:
 *         DPL_ETIMEOUT, after which the call may be repeated; DPL_EINVAL if `conn` or `buffer` is NULL or `size` is 0;
 *         DPL_ENOMEM if memory runs out; DPL_FAILURE, also if TLS ends without a close_notify, or after dplx_cancel()
 *
 * @pre `conn` is NULL or came from a function of this library; `buffer` is NULL or writable for `size` bytes.
 */
ssize_t dplx_conn_read(dpl_conn_t *conn,
                       void *buffer,
                       size_t size,
                       int timeout_ms);

/**
 * Writes all bytes of a block, as dpl_conn_writev_all() does. A block of 0 bytes is no request.
 *
 * @param conn the connection
 * @param data the bytes; may be NULL if `size` is 0
 * @param size the number of bytes
 * @param timeout_ms the longest time without progress in milliseconds; -1 waits for ever, 0 does not wait
 * @return as dpl_conn_writev_all()
 *
 * @pre `conn` is NULL or came from a function of this library; `data` is NULL or readable for `size` bytes.
 */
dpl_status_t dplx_conn_write(dpl_conn_t *conn,
                             const void *data,
                             size_t size,
                             int timeout_ms);

/**
 * Says that the reply to all that was written has been read to its end, so that dpl_conn_release() may keep the
 * connection for later requests. dplx_reply_read() does that by itself; of what dplx_conn_read() has read only the program
 * knows the length. Do not call this if the server has announced that it will close the connection. If the server sends
 * more than the reply, or ends the connection, or the request was not written to its end, that is still noticed, and the
 * connection is closed.
 *
 * @param conn the connection
 * @return DPL_SUCCESS; DPL_EINVAL if `conn` is NULL or not in use; DPL_FAILURE if dplx_reply_read() has begun with the reply
 *         and has not come to its end: it has no effect then
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
dpl_status_t dplx_conn_reply_complete(dpl_conn_t *conn);

/**
 * Returns the descriptor of a connection, for poll() or for options of its socket. The connection still owns it: do
 * not close it, and over TLS do not read from it or write to it. Bytes that TLS has decrypted already do not make it
 * readable.
 *
 * @param conn the connection
 * @return the descriptor; -1 if `conn` is NULL or not in use
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
int dplx_conn_fd(dpl_conn_t *conn);

/**
 * Makes a context from the text of a profile: lines such as `host = a:80,b:80`, `use_https = true`,
 * `connection_timeout = 5`. Messages about the context are not printed; see dplx_last_error() and dplx_set_log().
 *
 * @param profile the text, with the variables of Droplet's profiles. Relative names of files start at the working
 *        directory
 * @return the context, which the caller frees with dplx_ctx_free(); NULL on failure, and dplx_last_error() has a text
 *         such as "profile:2: no such variable"
 *
 * @pre `profile` is NULL or a string.
 */
dpl_ctx_t *dplx_ctx_new(const char *profile);

/**
 * Sets how long calls that get a connection wait while all `n_conn_max` connections of a context are in use or being
 * opened. Calls are served in the order of their arrival, as soon as a connection is given back or closed, or
 * `n_conn_max` is raised. When the time is over, dpl_try_connect() returns DPL_ELIMIT and dpl_conn_open_host() NULL. The
 * time that a connect takes afterwards does not count.
 *
 * A context begins with the number in `DPLX_WAIT_MS` of the environment, or 0. A change also holds for calls that wait
 * already. A thread that is cancelled (pthread_cancel(3)) while it waits ends when its wait does. If the context is
 * freed meanwhile, which is an error of the program, the call returns DPL_EINVAL or NULL.
 *
 * @param ctx the context
 * @param milliseconds the longest wait in milliseconds; 0 does not wait, -1 waits for ever
 * @return DPL_SUCCESS; DPL_EINVAL if `ctx` is NULL or `milliseconds` is less than -1
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_status_t dplx_ctx_set_wait(dpl_ctx_t *ctx,
                               int milliseconds);

/**
 * Closes the idle connections of a context and frees it. Connections in use stay usable, and are closed when they are
 * given back.
 *
 * @param ctx a context from dplx_ctx_new(), which no other thread uses; NULL has no effect
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
void dplx_ctx_free(dpl_ctx_t *ctx);

/**
 * Returns facts about a connection. It costs a system call.
 *
 * @param conn the connection
 * @param info receives the facts. The caller sets its `size`
 * @return DPL_SUCCESS; DPL_EINVAL if an argument is NULL, `conn` is not in use, or `size` is smaller than
 *         sizeof(size_t)
 *
 * @pre `conn` is NULL or came from a function of this library; `info` is NULL or begins with its size, and is
 * writable for that many bytes.
 */
dpl_status_t dplx_conn_info(dpl_conn_t *conn,
                            dplx_conn_info_t *info);

/**
 * Returns the name that a connection is connected to: as in the profile, or `BUCKET.HOST`.
 *
 * @param conn the connection
 * @return the name, which belongs to the connection and is valid until it is given back. As an argument of
 *         dpl_blacklist_host() it means this connection. NULL for a file, or if `conn` is NULL or not in use
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
const char *dplx_conn_host(dpl_conn_t *conn);

/**
 * Returns the port that a connection is connected to.
 *
 * @param conn the connection
 * @return the decimal port, valid as long as dplx_conn_host(); NULL likewise
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
const char *dplx_conn_port(dpl_conn_t *conn);

/**
 * Returns the address that a connection is connected to.
 *
 * @param conn the connection
 * @return an address such as "127.0.0.1:80" or "[::1]:80", valid as long as dplx_conn_host(); NULL likewise, and if
 *         memory runs out
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
const char *dplx_conn_address(dpl_conn_t *conn);

/**
 * Reads the status of the reply to the request that was written last, and its head. Replies of 1xx are skipped, except
 * for 101, and for the `100 Continue` that the request has asked for: the final reply then follows what the program
 * writes next.
 *
 * The library knows from what was written by its functions whether the request is a HEAD, whose reply has no body.
 * A reply has to be read to its end, by dplx_reply_read(), before the next request is written on the connection.
 *
 * After a write that failed, a plain connection may still have a reply that says why; over TLS it has none.
 *
 * No host is blacklisted, whatever the status is. A program that takes a status such as 503 for a fault of the host calls
 * dpl_blacklist_host().
 *
 * @param conn the connection
 * @param timeout_ms the time to wait for the head in milliseconds; -1 waits for ever, 0 does not wait
 * @return the status of HTTP, from 100 to 999; again the same until the next request. A negative dpl_status_t on
 *         failure: DPL_ETIMEOUT, after which the call may be repeated; DPL_EINVAL for NULL; DPL_ENOMEM if memory
 *         runs out; DPL_FAILURE if there is no reply or it cannot be read. After the latter two the connection is closed
 *         when it is given back
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
int dplx_reply_status(dpl_conn_t *conn,
                      int timeout_ms);

/**
 * Reads bytes of the body of a reply: by its length, in chunks, or to the end of the connection. If the head was not
 * read, it is read first. After the end, dpl_conn_release() keeps the connection for later requests, unless the server
 * has said that it closes it, or has sent more than the reply; dplx_conn_reply_complete() is not needed.
 *
 * @param conn the connection
 * @param buffer receives the bytes
 * @param size the size of `buffer` in bytes, at least 1
 * @param timeout_ms the time to wait in milliseconds; -1 waits for ever, 0 does not wait
 * @return the number of bytes; 0 at the end of the reply; a negative dpl_status_t on failure: DPL_ETIMEOUT, after which
 *         the call may be repeated; DPL_EINVAL if `conn` or `buffer` is NULL or `size` is 0; DPL_ENOMEM if memory
 *         runs out; DPL_FAILURE if the reply is cut short or cannot be read. After the latter two the connection is
 *         closed when it is given back
 *
 * @pre `conn` is NULL or came from a function of this library; `buffer` is NULL or writable for `size` bytes.
 */
ssize_t dplx_reply_read(dpl_conn_t *conn,
                        void *buffer,
                        size_t size,
                        int timeout_ms);

/**
 * Returns a field of the reply whose head dplx_reply_status() or dplx_reply_read() has read. A field that stands there
 * several times has several values; blanks around a value are no part of it.
 *
 * @param conn the connection
 * @param name the name of the field, in any case
 * @param index 0 for the first value, 1 for the second, and so on
 * @return the value, a string that the connection owns until the next request is written or the connection is given
 *         back; NULL if there is none, or the head was not read, or for NULL, or if memory is short
 *
 * @pre `conn` is NULL or came from a function of this library; `name` is NULL or a string.
 */
const char *dplx_reply_field(dpl_conn_t *conn,
                             const char *name,
                             unsigned int index);

/**
 * Makes a request for dpl_try_connect(). It can be used for any number of connections, one after the other.
 *
 * @param ctx the context
 * @param bucket the bucket, to connect to `BUCKET.HOST`; NULL to connect to the hosts themselves
 * @return the request, which the caller frees with dplx_req_free() or Droplet's dpl_req_free(); NULL on failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `bucket` is NULL or a string.
 */
dpl_req_t *dplx_req_new(dpl_ctx_t *ctx,
                        const char *bucket);

/**
 * Frees a request.
 *
 * @param req a request from dplx_req_new(); NULL has no effect
 *
 * @pre `req` is NULL or came from dplx_req_new() and is not used any more.
 */
void dplx_req_free(dpl_req_t *req);

/**
 * Returns the statistics of the connections of a context. The numbers are read one after the other while other
 * threads go on, so they may not match each other exactly. With `DPLX_STATS=1` in the environment a table of them
 * goes to stderr when a context is freed, or when the process exits without that.
 *
 * @param ctx the context
 * @param stats receives the statistics. The caller sets its `size`
 * @return DPL_SUCCESS; DPL_EINVAL if an argument is NULL, or `size` is smaller than sizeof(size_t)
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or begins with its size, and is writable for
 * that many bytes.
 */
dpl_status_t dplx_pool_stats(dpl_ctx_t *ctx,
                             dplx_pool_stats_t *stats);

/**
 * Returns the statistics of the hosts of a context, in the order of its list.
 *
 * @param ctx the context
 * @param stats an array that receives the statistics of the first `n` hosts. The caller sets the `size` of its first
 *        element, which holds for all. May be NULL if `n` is 0
 * @param n the number of elements of `stats`
 * @return the number of hosts, which may be more than `n`; DPL_EINVAL if an argument is NULL, `n` is negative, or
 *         `size` is smaller than sizeof(size_t)
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or points to `n` elements of the size that the
 * first begins with.
 */
int dplx_host_stats(dpl_ctx_t *ctx,
                    dplx_host_stats_t *stats,
                    int n);

/**
 * Returns the name of a dplx_fault_t.
 *
 * @param fault the fault
 * @return a constant such as "refused"; "" for an unknown number
 */
const char *dplx_fault_text(int fault);

/**
 * Returns the name of a dplx_closing_t.
 *
 * @param closing the reason
 * @return a constant such as "stale"; "" for an unknown number
 */
const char *dplx_closing_text(int closing);

/**
 * Returns the name of a dplx_host_state_t.
 *
 * @param state the state
 * @return a constant such as "available"; "" for an unknown number
 */
const char *dplx_host_state_text(int state);

/**
 * Returns the meaning of a status. The reason why a call failed is in dplx_last_error().
 *
 * @param status a dpl_status_t
 * @return a constant such as "timed out"; "unknown status" for a number that is none
 */
const char *dplx_status_text(dpl_status_t status);

/**
 * Reads a reply, and passes it on while it is received. A line of the head that is not a field is skipped. Bytes after
 * the reply and before the next request are dropped, and the connection is closed when it is released. So it is after a
 * reply that says `Connection: close`, or whose body ends with the connection.
 *
 * @param conn the connection. After an error nothing more can be written on it, and it is closed when it is
 *        released
 * @param expect_data 0 for the reply to a HEAD, which has no body although its head may say so
 * @param http_statusp receives the status; may be NULL. Unchanged on error
 * @param header_func called for each field, except for `Connection`, `Transfer-Encoding`, and for `Content-Length`
 *        unless `expect_data` is 0; may be NULL
 * @param buffer_func called for each piece of the body, in a buffer that it may change. If it is NULL, the body is
 *        dropped, and one that ends with the connection is not waited for
 * @param cb_arg passed to both functions, which may use other connections, but not this one, and must return: no longjmp()
 *        and no exception may leave them
 * @return DPL_SUCCESS for any status of HTTP; DPL_EINVAL for NULL; DPL_FAILURE if there is no reply, it is
 *         malformed or late, or a function did not return DPL_SUCCESS
 *
 * @pre `conn` is NULL or came from a function of this library; `http_statusp` is NULL or writable; the functions
 * are NULL or take `cb_arg`.
 */
dpl_status_t dpl_read_http_reply_buffered(dpl_conn_t *conn,
                                          int expect_data,
                                          int *http_statusp,
                                          dpl_header_func_t header_func,
                                          dpl_buffer_func_t buffer_func,
                                          void *cb_arg);

/**
 * Reads a reply into memory. If there is none, or its status is 5xx, the host is blacklisted as by
 * dpl_blacklist_host(): a reused connection that the peer had only closed does not count.
 *
 * @param conn the connection
 * @param expect_data 0 for the reply to a HEAD
 * @param buffer_provided 0 if the caller frees the body with free(). Otherwise the body is stored in the buffer
 *        `*data_bufp`, which has room for `*data_lenp` bytes, and the rest is dropped
 * @param data_bufp receives the body, or NULL if there is none. NULL to drop it: one that ends with the connection is
 *        then not waited for
 * @param data_lenp receives its length in bytes; may be NULL
 * @param headersp receives the fields, as in dpl_read_http_reply_buffered(), with names in lower case; to be
 *        freed with dpl_dict_free(). May be NULL
 * @param connection_closep receives 1 if the connection is to be closed with dpl_conn_terminate(), else 0; may
 *        be NULL
 * @return the result of dpl_map_http_status() for the status; DPL_FAILURE if there is no complete reply, DPL_ENOMEM if
 *         memory runs out, DPL_ELIMIT if the body is longer than `*data_lenp` can say: the part that came is still
 *         stored; DPL_ENOTSUPP if there is no Droplet in the process whose dictionary could hold the fields; DPL_EINVAL
 *         for NULL, and nothing is stored
 *
 * @pre `conn` is NULL or came from a function of this library; the pointers to results are NULL or writable. If
 * `buffer_provided` is not 0, `*data_bufp` has room for `*data_lenp` bytes.
 */
dpl_status_t dpl_read_http_reply_ext(dpl_conn_t *conn,
                                     int expect_data,
                                     int buffer_provided,
                                     char **data_bufp,
                                     unsigned int *data_lenp,
                                     dpl_dict_t **headersp,
                                     int *connection_closep);

/**
 * Reads a reply into memory that the caller frees. It is dpl_read_http_reply_ext() without a buffer of the caller's.
 *
 * @param conn the connection
 * @param expect_data 0 for the reply to a HEAD
 * @param data_bufp receives the body, to be freed with free(), or NULL if there is none; NULL to drop it
 * @param data_lenp receives its length in bytes
 * @param headersp as in dpl_read_http_reply_ext()
 * @param connection_closep as in dpl_read_http_reply_ext()
 * @return the same as dpl_read_http_reply_ext()
 *
 * @pre As for dpl_read_http_reply_ext().
 */
dpl_status_t dpl_read_http_reply(dpl_conn_t *conn,
                                 int expect_data,
                                 char **data_bufp,
                                 unsigned int *data_lenp,
                                 dpl_dict_t **headersp,
                                 int *connection_closep);

/**
 * Returns the status for a status of HTTP.
 *
 * @param http_status the status of HTTP
 * @return DPL_SUCCESS for 100, 200, 201, 204 and 206; DPL_EREDIRECT for 301 and 302; DPL_EPERM for 403,
 *         DPL_ENOENT for 404, DPL_ECONFLICT for 409, DPL_EPRECOND for 412, DPL_ERANGEUNAVAIL for 416;
 *         DPL_FAILURE for all others
 */
dpl_status_t dpl_map_http_status(int http_status);

/**
 * Returns whether these fields say that the reply is the last one of its connection. What dpl_read_http_reply() stores
 * never says so, as in the original: a connection whose reply was the last is closed when it is released.
 *
 * @param headers_returned the fields, with names in lower case
 * @return 1 if `connection` has `close` among its options, or for NULL; else 0
 *
 * @pre `headers_returned` is NULL or a dictionary of strings.
 */
int dpl_connection_close(dpl_dict_t *headers_returned);

/**
 * Returns the location in the fields of a reply.
 *
 * @param headers_returned the fields, as dpl_read_http_reply() stores them
 * @return the value of `location`, which the dictionary owns; NULL if there is none, or for NULL
 *
 * @pre `headers_returned` is NULL or a dictionary of strings.
 */
char *dpl_location(dpl_dict_t *headers_returned);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  /* DROPLET_CONN_H */
