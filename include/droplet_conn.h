/*
 * droplet-conn: the connection subsystem of Scality Droplet.
 *
 * Generated from the Rust source by cbindgen; do not edit.
 *
 * It can be used alone, where the types below are opaque, or with Droplet's own <droplet.h>, included
 * before or after. Which hosts there are, and all limits and timeouts, is in the context (dpl_ctx_t);
 * droplet-conn reads them at every call.
 *
 * What holds for all functions, and is therefore not said at each: strings end with NUL and are not kept;
 * a NULL that is not said to mean something gets DPL_EINVAL, NULL or no effect, and a line in the log;
 * functions may be called by any number of threads at once, except that a connection is used by one thread
 * at a time; none changes a signal's disposition, and none raises SIGPIPE. Why a call failed is told by
 * dplx_last_error().
 *
 * Functions whose names begin with dplx_ are droplet-conn's own. With them it needs no Droplet: a profile's
 * text becomes a context (dplx_ctx_new), with a request (dplx_req_new) one connects (dpl_try_connect), writes
 * and reads (dplx_conn_write, dplx_conn_read), says where the reply ended (dplx_conn_reply_complete), and
 * gives the connection back (dpl_conn_release).
 */


#ifndef DROPLET_CONN_H
#define DROPLET_CONN_H

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* Droplet's types, if its header is at hand: some of them have no name that could be declared twice. */
#if defined(__has_include) && !defined(__DROPLET_H__)
#if __has_include(<droplet.h>)
#include <droplet.h>
#endif
#endif

#ifndef __DROPLET_H__

/** A context: a profile and the connections made for it. */
typedef struct dpl_ctx dpl_ctx_t;
/** A connection. */
typedef struct dpl_conn dpl_conn_t;
/** A request. */
typedef struct dpl_req dpl_req_t;
/** A host of a list. */
typedef struct dpl_addr dpl_addr_t;
/** A list of hosts. */
typedef struct dpl_addrlist dpl_addrlist_t;

/** What a call ended with. */
typedef enum {
  DPL_SUCCESS = 0,
  /** The peer or the network failed, or no host is left. */
  DPL_FAILURE = -1,
  /** No such host. */
  DPL_ENOENT = -2,
  /** An argument that no call can work with. */
  DPL_EINVAL = -3,
  /** The peer took too long. */
  DPL_ETIMEOUT = -4,
  /** Out of memory. */
  DPL_ENOMEM = -5,
  /** The local system refused, for example because descriptors ran out. */
  DPL_ESYS = -6,
  DPL_EIO = -7,
  /** The context has as many connections as it may. */
  DPL_ELIMIT = -8,
  /** A host name longer than DNS allows. */
  DPL_ENAMETOOLONG = -9,
  DPL_ENOTDIR = -10,
  DPL_ENOTEMPTY = -11,
  DPL_EISDIR = -12,
  DPL_EEXIST = -13,
  DPL_ENOTSUPP = -14,
  DPL_EREDIRECT = -15,
  DPL_ETOOMANYREDIR = -16,
  DPL_ECONNECT = -17,
  DPL_EPERM = -18,
  DPL_EPRECOND = -19,
  DPL_ECONFLICT = -20,
  DPL_ERANGEUNAVAIL = -21
} dpl_status_t;

#endif

/** Never read, here as in the original, which exports it. */
extern dpl_ctx_t *dpl_default_conn_ctx;


/**
 * The length of the arrays below. What lies beyond the names above is 0, and reserved for more of them.
 */
#define DPLX_COUNTS 16

/**
 * Why a connection was closed: an index of `closed` in dplx_pool_stats_t.
 */
typedef enum {
  /**
   * The caller terminated it, or did not want it.
   */
  DPLX_CLOSED_TERMINATED = 0,
  /**
   * It was released after an error.
   */
  DPLX_CLOSED_FAILED = 1,
  /**
   * It was released with unread bytes or in the middle of a reply.
   */
  DPLX_CLOSED_INCOMPLETE = 2,
  /**
   * Its peer closed it while it was idle, or sent something unasked.
   */
  DPLX_CLOSED_STALE = 3,
  /**
   * It was idle for `conn_idle_time`.
   */
  DPLX_CLOSED_EXPIRED = 4,
  /**
   * It was reused `n_conn_max_hits` times.
   */
  DPLX_CLOSED_USED_UP = 5,
  /**
   * It made room for a connection to another host, at `n_conn_max`.
   */
  DPLX_CLOSED_EVICTED = 6,
  /**
   * Its host left the list, or its address the host.
   */
  DPLX_CLOSED_LEFT = 7,
  /**
   * Its host was blacklisted because something failed.
   */
  DPLX_CLOSED_HOST_OUT = 8,
} dplx_closing_t;

/**
 * What went wrong with a host: an index of `failures` in dplx_host_stats_t.
 */
typedef enum {
  /**
   * Nobody listens there.
   */
  DPLX_FAULT_REFUSED = 0,
  /**
   * No route leads there.
   */
  DPLX_FAULT_UNREACHABLE = 1,
  /**
   * No answer within `conn_timeout`.
   */
  DPLX_FAULT_TIMED_OUT = 2,
  /**
   * The peer reset or closed the connection while it was being made.
   */
  DPLX_FAULT_RESET = 3,
  /**
   * The TLS handshake failed for another reason than those named here.
   */
  DPLX_FAULT_TLS = 4,
  /**
   * The certificate was refused.
   */
  DPLX_FAULT_CERTIFICATE = 5,
  /**
   * The name has no address.
   */
  DPLX_FAULT_NAME = 6,
  /**
   * A write on a new connection failed.
   */
  DPLX_FAULT_WRITE = 7,
  /**
   * A write took longer than its timeout.
   */
  DPLX_FAULT_WRITE_TIMED_OUT = 8,
  /**
   * dpl_blacklist_host() was called, as Droplet does when a reply did not come or was broken.
   */
  DPLX_FAULT_REPORTED = 9,
  /**
   * This side is at fault: descriptors, memory, ports, its policy, or `n_conn_max`.
   */
  DPLX_FAULT_LOCAL = 10,
  /**
   * Anything else.
   */
  DPLX_FAULT_OTHER = 11,
  /**
   * dpl_blacklist_host() was called after a complete reply, as Droplet does for a status of 5xx.
   */
  DPLX_FAULT_REPLIED = 12,
  /**
   * Nothing: dpl_addrlist_blacklist() was called.
   */
  DPLX_FAULT_ORDERED = 13,
} dplx_fault_t;

/**
 * Whether a host may be used: `state` in dplx_host_stats_t.
 */
typedef enum {
  /**
   * By everybody.
   */
  DPLX_HOST_AVAILABLE = 0,
  /**
   * An attempt on it takes long: only if no other host is left.
   */
  DPLX_HOST_SUSPECT = 1,
  /**
   * It is blacklisted.
   */
  DPLX_HOST_OUT = 2,
  /**
   * Its blacklisting is over: the next checkout probes it.
   */
  DPLX_HOST_DUE = 3,
  /**
   * One attempt probes it, and everybody else keeps to the rest.
   */
  DPLX_HOST_PROBING = 4,
} dplx_host_state_t;

/**
 * A program's function for messages.
 *
 * @param user what dplx_set_log() was given
 * @param ctx the context that a message is about, or NULL
 * @param level 2 for a warning, 3 for an error
 * @param message the function that was called and what went wrong, without a newline
 */
typedef void (*dplx_log_t)(void *user, dpl_ctx_t *ctx, int level, const char *message);

/**
 * What ends the program's part of a dplx_log_t().
 *
 * @param user what dplx_set_log_owned() was given
 */
typedef void (*dplx_release_t)(void *user);

/**
 * What is known of a connection. The caller sets `size` to sizeof(dplx_conn_info_t).
 */
typedef struct {
  /**
   * The size of this struct in bytes. Further fields may be added at its end: those that the caller does
   * not know are left out, those that the library does not know are 0.
   */
  size_t size;
  /**
   * The name that is connected to, as the profile has it, or `BUCKET.HOST`; NULL for a file. It is valid
   * until the connection is given back, and as an argument of dpl_blacklist_host() means this connection.
   */
  const char *host;
  /**
   * Its port; likewise.
   */
  const char *port;
  /**
   * The version of TLS, such as "TLSv1.3", a constant; NULL without TLS.
   */
  const char *tls_version;
  /**
   * The cipher suite, such as "TLS_AES_256_GCM_SHA384", a constant; NULL without TLS.
   */
  const char *tls_cipher;
  /**
   * Bytes sent since the connection was opened, TLS's own among them, as the kernel counts them.
   */
  uint64_t bytes_out;
  /**
   * Bytes received, likewise, whether they were read or not.
   */
  uint64_t bytes_in;
  /**
   * How often the connection was reused: 0 on a new one.
   */
  uint32_t reused;
  /**
   * 1 if a TLS session was resumed, else 0.
   */
  uint32_t tls_resumed;
  /**
   * The address that is connected to, as "127.0.0.1:80" or "[::1]:80"; "" for a file.
   */
  char peer[64];
} dplx_conn_info_t;

/**
 * The connections of a context. The caller sets `size` to sizeof(dplx_pool_stats_t). Connections to files
 * are not counted.
 */
typedef struct {
  /**
   * The size of this struct in bytes; see dplx_conn_info_t.
   */
  size_t size;
  /**
   * Connections that wait to be used again.
   */
  uint64_t idle;
  /**
   * Connections that were checked out and not given back.
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
   * Checkouts that found no idle connection and had to wait for one.
   */
  uint64_t waits;
  /**
   * Of these, those that failed.
   */
  uint64_t failed;
  /**
   * How long all these waits took together, in nanoseconds.
   */
  uint64_t waited_ns;
  /**
   * How long the longest of them took, in nanoseconds.
   */
  uint64_t longest_wait_ns;
  /**
   * Connections that were closed, by reason: indexed by dplx_closing_t.
   */
  uint64_t closed[DPLX_COUNTS];
} dplx_pool_stats_t;

/**
 * One host of a context. The caller sets `size` to sizeof(dplx_host_stats_t).
 */
typedef struct {
  /**
   * The size of this struct in bytes; see dplx_conn_info_t.
   */
  size_t size;
  /**
   * The name or literal address, as the profile has it; cut off after 255 bytes.
   */
  char host[256];
  /**
   * The port, as the profile has it.
   */
  char port[8];
  /**
   * Whether it may be used: a dplx_host_state_t.
   */
  int32_t state;
  /**
   * What it was last blacklisted for, a dplx_fault_t; -1 if it is available.
   */
  int32_t fault;
  /**
   * Until when it is blacklisted, in seconds of wall-clock time (time(2)); 0 if it is not, -1 for ever.
   */
  int64_t blacklisted_until;
  /**
   * Idle connections to it.
   */
  uint64_t idle;
  /**
   * Attempts to connect to it, those that found no address or no room for a connection included.
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
   * Attempts, writes and replies that failed, by fault: indexed by dplx_fault_t.
   */
  uint64_t failures[DPLX_COUNTS];
} dplx_host_stats_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

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

/**
 * Makes the connection pool of a context. Droplet calls it when it makes the context, and the caller
 * frees the pool with dpl_conn_pool_destroy().
 *
 * @param ctx a new context, in the layout of Droplet 3.0 or of Bareos, whose connection limits still have
 *        their default values (which no profile changes)
 * @return DPL_SUCCESS; DPL_FAILURE if the layout is not known, or the SSL_CTX was made by another OpenSSL than
 *         the one that this library is linked with; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
dpl_status_t dpl_conn_pool_init(dpl_ctx_t *ctx);

/**
 * Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in
 * use stay usable; when they are given back they are closed.
 *
 * @param ctx a context, or NULL; one whose pool was not made is left alone
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t` that no other thread uses.
 */
void dpl_conn_pool_destroy(dpl_ctx_t *ctx);

/**
 * Gets a connection for a request: an idle one that is still good, the one released last first, or a new
 * one. The calling thread has it to itself and gives it back with dpl_conn_release() or
 * dpl_conn_terminate().
 *
 * The hosts of the profile take turns. One that cannot be connected to within `conn_timeout` seconds, or
 * refuses, is blacklisted for `blacklist_expiretime` seconds and the next one is tried; one that has not
 * answered after 250 ms is raced by the next. With virtual hosting the connection is made to
 * `BUCKET.HOST`.
 *
 * @param ctx the context, from which limits and timeouts are read at every call
 * @param req the request; its `host` and `port` are set to what was connected to, strings that are freed
 *        with it. The host has neither a final dot nor a zone
 * @param connp receives the connection; unchanged on error. NULL: the connection is closed at once
 * @return DPL_SUCCESS; DPL_FAILURE if no host is left; DPL_ELIMIT if `n_conn_max` leaves no connection to try
 *         one with; DPL_ESYS if the system is out of descriptors or ports, or forbids every connect (routes,
 *         filters); DPL_ENOMEM; DPL_ENAMETOOLONG if
 *         `BUCKET.HOST` is longer than 253 characters (RFC 1035); DPL_EINVAL for a NULL context or
 *         request
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller
 * uses; `connp` is NULL or writable.
 */
dpl_status_t dpl_try_connect(dpl_ctx_t *ctx,
                             dpl_req_t *req,
                             dpl_conn_t **connp);

/**
 * Gets a connection to one host by name, idle or new. The host need not be in the profile; if it is, its
 * idle connections are used, its turn is not counted, and a failure does not blacklist it.
 *
 * @param ctx the context
 * @param af not used: every address of the host is tried, of either family
 * @param host a name, or a literal address
 * @param portstr a decimal port
 * @return the connection, to be given back with dpl_conn_release() or dpl_conn_terminate(); NULL on
 *         failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
dpl_conn_t *dpl_conn_open_host(dpl_ctx_t *ctx,
                               int af,
                               const char *host,
                               const char *portstr);

/**
 * Makes a connection that reads from and writes to an open local file, pipe or socket. It does not count
 * as a connection of the context.
 *
 * @param ctx the context
 * @param fd an open descriptor, which the connection owns from then on; on failure it stays the caller's
 * @return the connection, to be given back with dpl_conn_release(), which closes the descriptor; NULL on
 *         failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; nobody else closes `fd` once the call has succeeded.
 */
dpl_conn_t *dpl_conn_open_file(dpl_ctx_t *ctx,
                               int fd);

/**
 * Gives a connection back. It stays open for later requests, unless it failed, bytes on it were left
 * unread, nothing has come back since something was written, or its context was freed; then, and if it leads
 * to a file, it is closed.
 *
 * What is closed is the descriptor in `conn->fd`. A program that takes the descriptor for itself sets the field
 * to -1, one that puts another in its place hands that over. `conn->host`, `conn->port` and `conn->read_buf` are
 * blocks of malloc(), which the program may free and replace, the names by NULL too; what is there in the end
 * is freed.
 *
 * @param conn the connection, which must not be used any more; NULL has no effect. One that was given
 *        back before is left alone, with a line in the log
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
void dpl_conn_release(dpl_conn_t *conn);

/**
 * Gives a connection back and closes it at once: to be called instead of dpl_conn_release() after an
 * error.
 *
 * @param conn the connection, which must not be used any more; otherwise as in dpl_conn_release()
 *
 * @pre As for dpl_conn_release().
 */
void dpl_conn_terminate(dpl_conn_t *conn);

/**
 * Writes all of an IO vector, in order. A connection on which that failed is closed when it is given
 * back; its host is blacklisted if the connection was a new one, or took no byte for too long, unless a reply
 * is there already.
 *
 * @param conn the connection
 * @param iov the pieces, which may be modified; NULL if there are none. A piece of no length may have no
 *        address
 * @param n_iov how many there are, any number
 * @param timeout how long no byte may move, in seconds; -1 for no limit, 0 not to wait
 * @return DPL_SUCCESS; DPL_ETIMEOUT; DPL_EINVAL for NULL or a negative count; DPL_FAILURE
 *
 * @pre `conn` is NULL or came from a function of this library; `iov` is NULL or points to `n_iov` pieces of
 * readable memory.
 */
dpl_status_t dpl_conn_writev_all(dpl_conn_t *conn,
                                 struct iovec *iov,
                                 int n_iov,
                                 int timeout);

/**
 * Blacklists a host for the context's `blacklist_expiretime`. Droplet calls it when a reply is broken or
 * has a status of 5xx. Its idle connections are closed, unless it is for a connection whose reply was complete.
 * If nothing came back on a connection that was used before, the peer had merely
 * closed it while it was idle: then only that connection is not used again.
 *
 * @param ctx the context
 * @param host the host, as in the profile, as `BUCKET.HOST`, or as any name that leads to its address;
 *        where it is the `host` of a connection in use, that connection is meant
 * @param portstr a decimal port
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
 */
void dpl_blacklist_host(dpl_ctx_t *ctx,
                        const char *host,
                        const char *portstr);

/**
 * The version of this library.
 *
 * @return a constant string such as "0.1.0", not to be freed
 */
const char *dplx_version(void);

/**
 * Why the calling thread's last call failed. It is about the last call that returned a status, a pointer
 * or a size, and "" if that did not fail; functions that return nothing, those that release and free,
 * change it only if they are misused.
 *
 * @return such as "connect to 127.0.0.1:81: Connection refused", UTF-8, of at most 1023 bytes; several
 *         reasons are separated by "; ". It is the thread's own, not to be freed, and changes with the
 *         thread's next call
 */
const char *dplx_last_error(void);

/**
 * Has all messages go to a function of the program's, whatever they are about. Without one, those about
 * contexts from dplx_ctx_new() go nowhere but to dplx_last_error(), others to Droplet's log, or to stderr
 * if there is no Droplet.
 *
 * @param callback the function, which any thread may call and which calls of other threads that have begun
 *        before may still call after it was replaced: dplx_set_log_owned() says when that is over. It must
 *        return: no longjmp() and no exception. NULL for none
 * @param user its first argument
 *
 * @pre `callback` is NULL or may be called with `user` from now on.
 */
void dplx_set_log(dplx_log_t callback,
                  void *user);

/**
 * As dplx_set_log(), and says when `user` may be freed: once another call of either function has replaced the
 * callback, and the last thread that was in it has come back. Nobody waits for that: `release` is called by
 * the thread that replaces the callback or by the last one that leaves it. So it is called once, after
 * the callback's last call, also if the callback itself sets another; not when the program ends. In a forked
 * child it is not called if another thread was in the callback at the time of the fork.
 *
 * @param callback as in dplx_set_log(); with NULL `release` is called at once
 * @param user its first argument
 * @param release called with `user`; NULL for nothing
 *
 * @pre `callback` is NULL or may be called with `user` until `release` is called; that is NULL or may be called
 * with `user` by any thread.
 */
void dplx_set_log_owned(dplx_log_t callback,
                        void *user,
                        dplx_release_t release);

/**
 * Reads what there is, plain or TLS, at least one byte. Bytes that Droplet's reply reader has left over
 * come first.
 *
 * From the first dplx_conn_read() or dplx_conn_write() on, a connection counts as being in the middle of a
 * request, and is closed when it is given back, unless dplx_conn_reply_complete() was called since.
 *
 * @param conn the connection
 * @param buffer receives the bytes
 * @param size the most bytes to read, at least 1
 * @param timeout_ms how long to wait for the first byte, in milliseconds; -1 for no limit, 0 not to wait
 * @return how many bytes were read; 0 at the end, when the peer sends no more; negative on failure, a
 *         dpl_status_t: DPL_ETIMEOUT, after which one may try again; DPL_EINVAL for NULL or no size;
 *         DPL_FAILURE, also for TLS that ends without a close_notify
 *
 * @pre `conn` is NULL or came from a function of this library; `buffer` is NULL or writable for `size` bytes.
 */
ssize_t dplx_conn_read(dpl_conn_t *conn,
                       void *buffer,
                       size_t size,
                       int timeout_ms);

/**
 * Writes all of a block: dpl_conn_writev_all() for one piece, and with a timeout like that of
 * dplx_conn_read().
 *
 * @param conn the connection
 * @param data the bytes; NULL if there are none
 * @param size how many
 * @param timeout_ms how long no byte may move, in milliseconds; -1 for no limit, 0 not to wait
 * @return as dpl_conn_writev_all()
 *
 * @pre `conn` is NULL or came from a function of this library; `data` is NULL or readable for `size` bytes.
 */
dpl_status_t dplx_conn_write(dpl_conn_t *conn,
                             const void *data,
                             size_t size,
                             int timeout_ms);

/**
 * Says that the reply to all that was written has been read to its end, so that dpl_conn_release() may keep
 * the connection for others. How long a reply is only its reader knows: call this where the message ends
 * (RFC 9112, section 6), and not if the server has announced that it will close the connection. What it has
 * sent beyond, an error or the end is still noticed, and the connection is then closed all the same.
 *
 * @param conn the connection
 * @return DPL_SUCCESS; DPL_EINVAL for NULL or a connection that is not in use
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
dpl_status_t dplx_conn_reply_complete(dpl_conn_t *conn);

/**
 * The descriptor of a connection: to wait on it, or to set options of its socket. It stays the
 * connection's: it is not to be closed, and over TLS not to be read from or written to. Bytes that TLS has
 * taken in already do not make it readable.
 *
 * @param conn the connection
 * @return the descriptor; -1 for NULL or a connection that is not in use
 *
 * @pre `conn` is NULL or came from a function of this library.
 */
int dplx_conn_fd(dpl_conn_t *conn);

/**
 * Makes a context from the text of a profile: lines such as `host = a:80,b:80`, `use_https = true`,
 * `connection_timeout = 5`. Nothing that happens with it is printed: see dplx_last_error() and
 * dplx_set_log().
 *
 * @param profile the text, with the variables of Droplet's profiles; files that it names are taken from the
 *        working directory
 * @return the context, to be freed with dplx_ctx_free(); NULL on failure, with a text such as
 *         "profile:2: hots: no such variable"
 *
 * @pre `profile` is NULL or a string.
 */
dpl_ctx_t *dplx_ctx_new(const char *profile);

/**
 * Closes the idle connections of a context and frees it. Connections in use stay usable; given back, they
 * are closed.
 *
 * @param ctx a context from dplx_ctx_new(), which no other thread uses; NULL has no effect
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`.
 */
void dplx_ctx_free(dpl_ctx_t *ctx);

/**
 * Tells facts about a connection. It costs a system call.
 *
 * @param conn the connection
 * @param info receives them; its `size` must be set
 * @return DPL_SUCCESS; DPL_EINVAL for NULL, a connection that is not in use, or a `size` smaller than itself
 *
 * @pre `conn` is NULL or came from a function of this library; `info` is NULL or begins with its size, and is
 * writable for that many bytes.
 */
dpl_status_t dplx_conn_info(dpl_conn_t *conn,
                            dplx_conn_info_t *info);

/**
 * Makes a request for dpl_try_connect(). It may be used for any number of connects, one after the other.
 *
 * @param ctx the context
 * @param bucket the bucket to connect to, as `BUCKET.HOST`; NULL to connect to the hosts themselves
 * @return the request, to be freed with dplx_req_free() or Droplet's dpl_req_free(); NULL on failure
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `bucket` is NULL or a string.
 */
dpl_req_t *dplx_req_new(dpl_ctx_t *ctx,
                        const char *bucket);

/**
 * Frees a request.
 *
 * @param req the request, which came from dplx_req_new(); NULL has no effect
 *
 * @pre `req` is NULL or came from dplx_req_new() and is not used any more.
 */
void dplx_req_free(dpl_req_t *req);

/**
 * Tells how the connections of a context stand. The numbers are read one after the other while other
 * threads go on, so they may be off against each other by what these do meanwhile. With `DPLX_STATS=1` in
 * the environment a table of them goes to stderr when a context is freed.
 *
 * @param ctx the context
 * @param stats receives them; its `size` must be set
 * @return DPL_SUCCESS; DPL_EINVAL for NULL, or a `size` smaller than itself
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or begins with its size, and is writable for
 * that many bytes.
 */
dpl_status_t dplx_pool_stats(dpl_ctx_t *ctx,
                             dplx_pool_stats_t *stats);

/**
 * Tells how the hosts of a context stand, in the order of its list.
 *
 * @param ctx the context
 * @param stats receives the first `n` of them; the `size` of the first element must be set, and holds for
 *        all. NULL if `n` is 0
 * @param n how many elements there are
 * @return how many hosts there are, which may be more than `n`; DPL_EINVAL for NULL, a negative number, or
 *         a `size` smaller than itself
 *
 * @pre `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or points to `n` elements of the size that the
 * first begins with.
 */
int dplx_host_stats(dpl_ctx_t *ctx,
                    dplx_host_stats_t *stats,
                    int n);

/**
 * What a dplx_fault_t is called.
 *
 * @param fault the fault
 * @return such as "refused", a constant; "" for a number that is none
 */
const char *dplx_fault_text(int fault);

/**
 * What a dplx_closing_t is called.
 *
 * @param closing the reason
 * @return such as "stale", a constant; "" for a number that is none
 */
const char *dplx_closing_text(int closing);

/**
 * What a dplx_host_state_t is called.
 *
 * @param state the state
 * @return such as "available", a constant; "" for a number that is none
 */
const char *dplx_host_state_text(int state);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DROPLET_CONN_H */
