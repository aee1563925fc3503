/*
 * Droplet's own requests, as programs call them. A program that calls nothing else names no function of the
 * connection subsystem.
 */
#include "droplet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_SIZE = 1024 };

static dpl_status_t send_put(dpl_conn_t *conn, const dpl_req_t *req, char *data, unsigned int len) {
    char head[HEAD_SIZE];
    int head_len = snprintf(head, sizeof head,
                            "PUT /%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %u\r\n\r\n", req->bucket,
                            req->resource, req->host, len);
    struct iovec iov[] = {{head, (size_t)head_len}, {data, len}};

    if (head_len >= HEAD_SIZE)
        return DPL_ENAMETOOLONG;
    return dpl_conn_writev_all(conn, iov, 2, conn->ctx->write_timeout);
}

static dpl_status_t put(dpl_ctx_t *ctx, dpl_req_t *req, char *data, unsigned int len) {
    dpl_conn_t *conn = NULL;
    int closes = 1;
    dpl_status_t status = dpl_try_connect(ctx, req, &conn);

    if (status != DPL_SUCCESS)
        return status;
    status = send_put(conn, req, data, len);
    if (status == DPL_SUCCESS)
        status = dpl_read_http_reply(conn, 1, NULL, NULL, NULL, &closes);
    if (closes)
        dpl_conn_terminate(conn);
    else
        dpl_conn_release(conn);
    return status;
}

dpl_status_t dpl_put(dpl_ctx_t *ctx, const char *bucket, const char *path, const char *data,
                     unsigned int len) {
    dpl_req_t *req = dpl_req_new(ctx);
    char *copy = malloc(len + 1);
    dpl_status_t status = DPL_ENOMEM;

    if (req && copy) {
        memcpy(copy, data, len);
        dpl_req_rm_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
        status = dpl_req_set_bucket(req, bucket);
        if (status == DPL_SUCCESS)
            status = dpl_req_set_resource(req, path);
        if (status == DPL_SUCCESS)
            status = put(ctx, req, copy, len);
    }
    free(copy);
    dpl_req_free(req);
    return status;
}
