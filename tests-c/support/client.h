/* A client of the loopback servers, such as a program over Droplet is. */
#ifndef SUPPORT_CLIENT_H
#define SUPPORT_CLIENT_H

#include <stdbool.h>

#include "droplet.h"

/* A reply: the server that answered, and the number of the request that it saw. */
struct answer {
    dpl_status_t status;
    int server;
    long number;
};

/* A request to the hosts of the profile themselves (no virtual hosting). */
dpl_req_t *request_new(dpl_ctx_t *ctx);

/* A connection by dpl_try_connect() for such a request; NULL when there is none. */
dpl_conn_t *checkout(dpl_ctx_t *ctx);

dpl_status_t write_string(dpl_conn_t *conn, const char *text, int timeout);

dpl_status_t send_get(dpl_conn_t *conn, long number);
struct answer read_answer(dpl_conn_t *conn);

/* Both; the connection stays checked out. */
struct answer ask_on(dpl_conn_t *conn, long number);

/* A whole request on a connection of its own, given back or, after an error, terminated. */
struct answer ask(dpl_ctx_t *ctx, long number);

/* Was the request answered, and the answer its own? */
bool answered(dpl_ctx_t *ctx, long number);
bool answered_on(dpl_conn_t *conn, long number);

/* Leaves n connections idle; all of them were in use at once and have served one request. */
bool leave_idle(dpl_ctx_t *ctx, int n);

/* The status of a checkout. The connection is stored, or given back at once if connp is NULL. */
dpl_status_t try_connect(dpl_ctx_t *ctx, dpl_conn_t **connp);

/* The same for a bucket, with virtual hosting. The connection is stored. */
dpl_status_t try_connect_to(dpl_ctx_t *ctx, const char *bucket, dpl_conn_t **connp);

#endif
