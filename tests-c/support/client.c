#include "support/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dpl_req_t *request_new(dpl_ctx_t *ctx) {
    dpl_req_t *req = dpl_req_new(ctx);

    dpl_req_rm_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    return req;
}

static dpl_status_t connect_for(dpl_ctx_t *ctx, dpl_conn_t **connp) {
    dpl_req_t *req = request_new(ctx);
    dpl_status_t status = dpl_try_connect(ctx, req, connp);

    dpl_req_free(req);
    return status;
}

dpl_conn_t *checkout(dpl_ctx_t *ctx) {
    dpl_conn_t *conn = NULL;

    connect_for(ctx, &conn);
    return conn;
}

dpl_status_t write_string(dpl_conn_t *conn, const char *text, int timeout) {
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

    return dpl_conn_writev_all(conn, &iov, 1, timeout);
}

dpl_status_t send_get(dpl_conn_t *conn, long number) {
    char line[64];
    char headers[64];
    struct iovec iov[3] = {{.iov_base = line}, {.iov_base = headers}, {.iov_base = "\r\n"}};

    snprintf(line, sizeof line, "GET /%ld HTTP/1.1\r\n", number);
    snprintf(headers, sizeof headers, "Host: loopback\r\nX-Number: %ld\r\n", number);
    for (int i = 0; i < 3; i++)
        iov[i].iov_len = strlen(iov[i].iov_base);
    return dpl_conn_writev_all(conn, iov, 3, conn->ctx->write_timeout);
}

struct answer read_answer(dpl_conn_t *conn) {
    struct answer answer = {.server = -1, .number = -1};
    char *body = NULL;

    answer.status = dpl_read_http_reply(conn, 1, &body, NULL, NULL, NULL);
    if (body)
        sscanf(body, "%d %ld", &answer.server, &answer.number);
    free(body);
    return answer;
}

struct answer ask_on(dpl_conn_t *conn, long number) {
    dpl_status_t status = send_get(conn, number);

    if (status != DPL_SUCCESS)
        return (struct answer){.status = status, .server = -1, .number = -1};
    return read_answer(conn);
}

struct answer ask(dpl_ctx_t *ctx, long number) {
    struct answer answer = {.server = -1, .number = -1};
    dpl_conn_t *conn = NULL;

    answer.status = connect_for(ctx, &conn);
    if (answer.status != DPL_SUCCESS)
        return answer;
    answer = ask_on(conn, number);
    if (answer.status == DPL_SUCCESS)
        dpl_conn_release(conn);
    else
        dpl_conn_terminate(conn);
    return answer;
}

static bool is_own(struct answer answer, long number) {
    return answer.status == DPL_SUCCESS && answer.number == number;
}

bool answered(dpl_ctx_t *ctx, long number) {
    return is_own(ask(ctx, number), number);
}

bool answered_on(dpl_conn_t *conn, long number) {
    return is_own(ask_on(conn, number), number);
}

bool leave_idle(dpl_ctx_t *ctx, int n) {
    dpl_conn_t *conns[n];
    bool good = true;

    for (int i = 0; i < n; i++) {
        conns[i] = checkout(ctx);
        good = good && conns[i] && answered_on(conns[i], i);
    }
    for (int i = 0; i < n; i++)
        if (conns[i])
            dpl_conn_release(conns[i]);
    return good;
}

dpl_status_t try_connect(dpl_ctx_t *ctx, dpl_conn_t **connp) {
    dpl_req_t *req = request_new(ctx);
    dpl_conn_t *conn = NULL;
    dpl_status_t status = dpl_try_connect(ctx, req, &conn);

    dpl_req_free(req);
    if (connp)
        *connp = conn;
    else if (conn)
        dpl_conn_release(conn);
    return status;
}

dpl_status_t try_connect_to(dpl_ctx_t *ctx, const char *bucket, dpl_conn_t **connp) {
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_status_t status;

    dpl_req_set_bucket(req, bucket);
    status = dpl_try_connect(ctx, req, connp);
    dpl_req_free(req);
    return status;
}
