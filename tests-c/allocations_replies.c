/* Each allocation while a long reply is read fails in turn; then all from each on (support/exhaust.h). */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/dplx.h"
#include "support/exhaust.h"
#include "support/exhaust_context.h"
#include "support/loopback.h"

static bool read_at_length(void) {
    static const char get[] = "GET / HTTP/1.1\r\nX-Number: 7\r\n\r\n";
    dpl_conn_t *conn = dplx_connect(ctx, LIMIT_MS);
    char *body = NULL;
    unsigned int len = 0;
    int status;
    bool done;

    if (!conn)
        return failed_for_memory("dplx_connect");
    done = succeeded(dplx_conn_write(conn, get, sizeof get - 1, LIMIT_MS), "dplx_conn_write") &&
           succeeded(dpl_read_http_reply(conn, 1, &body, &len, NULL, NULL), "dpl_read_http_reply");
    if (done && len != AT_LENGTH)
        complain("a body of %u bytes", len);
    free(body);
    dpl_conn_release(conn);
    if (!done)
        return false;
    conn = dplx_connect(ctx, LIMIT_MS);
    if (!conn)
        return failed_for_memory("dplx_connect");
    done = succeeded(dplx_conn_write(conn, get, sizeof get - 1, LIMIT_MS), "dplx_conn_write");
    status = done ? dplx_reply_status(conn, LIMIT_MS) : 0;
    done = status == 200 || (status < 0 && succeeded(status, "dplx_reply_status"));
    if (done && !dplx_reply_field(conn, "X-Last", 0))
        done = failed_for_memory("dplx_reply_field");
    dpl_conn_terminate(conn);
    return done;
}

static const struct exhausted scenarios[] = {
    {"long replies", make_context, read_at_length, nobody_is_blamed, free_context, 61},
};

static void long_replies_without_memory(void) {
    server = server_answering(1);
    server_behave(server, ANSWER_AT_LENGTH);
    exhaust_all(scenarios, sizeof scenarios / sizeof *scenarios);
    server_stop(server);
}

int main(void) {
    test_begin("allocations_replies");
    RUN(long_replies_without_memory);
    return test_end();
}
