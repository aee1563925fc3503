/* The replacement's own interface, as its header declares it, and a client that uses it. Weak: a
 * program that the library is preloaded into is linked without it. */
#ifndef SUPPORT_DPLX_H
#define SUPPORT_DPLX_H

#include "droplet.h"

#include <droplet_conn.h>

#pragma weak dplx_cancel
#pragma weak dplx_closing_text
#pragma weak dplx_conn_address
#pragma weak dplx_conn_fd
#pragma weak dplx_conn_host
#pragma weak dplx_conn_info
#pragma weak dplx_conn_port
#pragma weak dplx_conn_read
#pragma weak dplx_conn_reply_complete
#pragma weak dplx_conn_use
#pragma weak dplx_conn_write
#pragma weak dplx_connect
#pragma weak dplx_connect_cancellable
#pragma weak dplx_ctx_free
#pragma weak dplx_ctx_new
#pragma weak dplx_ctx_set_wait
#pragma weak dplx_fault_text
#pragma weak dplx_host_state_text
#pragma weak dplx_host_stats
#pragma weak dplx_last_error
#pragma weak dplx_pool_stats
#pragma weak dplx_reply_field
#pragma weak dplx_reply_read
#pragma weak dplx_reply_status
#pragma weak dplx_req_free
#pragma weak dplx_req_new
#pragma weak dplx_set_log
#pragma weak dplx_set_log_owned
#pragma weak dplx_status_text
#pragma weak dplx_use_new
#pragma weak dplx_version

enum { LIMIT_MS = 10000 }; /* more than a read or write takes */

/* A new or idle connection, by dplx_req_new() and dpl_try_connect(). */
dpl_conn_t *connect_by(dpl_ctx_t *ctx, const char *bucket);

/* Writes a request by dplx_conn_write(); the loopback servers answer with its number. */
void ask_by(dpl_conn_t *conn, long number);

/* Reads the rest of a reply in pieces, as a string. Returns the result of the last call. */
ssize_t read_rest(dpl_conn_t *conn, char *body, size_t room, size_t piece);

#endif
