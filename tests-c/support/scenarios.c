#include "support/scenarios.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/scratch.h"
#include "support/shim.h"

struct scene scene;

enum { BIG = 17 * 1024 + 7 }; /* more than a record of TLS */

static char big[BIG];

static const char profile[] = "read_buf_size = 8209\nconnection_timeout = 5\nread_timeout = 5\n";

static void prepare_request(void) {
    scene.ctx = context_over_server(scene.server, profile);
}

static void prepare_reuse(void) {
    prepare_request();
    REQUIRE(leave_idle(scene.ctx, 2), "two connections are idle");
}

static void prepare_failover(void) {
    struct server *both[] = {scene.dead, scene.server};

    scene.ctx = context_over_servers(both, 2, profile);
}

static dpl_status_t connect_to_any(dpl_conn_t **connp) {
    dpl_req_t *req;
    dpl_status_t status;

    shim_pause();
    req = request_new(scene.ctx);
    shim_go_on();
    status = dpl_try_connect(scene.ctx, req, connp);
    shim_pause();
    dpl_req_free(req);
    shim_go_on();
    scene.outcome.dirty |= status != DPL_SUCCESS && *connp != NULL;
    return status;
}

/* Plain replies are read by Droplet, over TLS through the library. Droplet blacklists a host whose
 * reply it cannot read, whatever the reason. */
static struct answer read_own_answer(dpl_conn_t *conn) {
    struct answer answer;

    if (!tls_wanted() || scene.reader_is_spared)
        shim_pause();
    answer = read_answer(conn);
    shim_go_on();
    return answer;
}

static void ask_on_connection(dpl_conn_t *conn) {
    dpl_status_t status = send_get(conn, ++scene.number);
    struct answer answer = {.status = status};

    if (status == DPL_SUCCESS)
        answer = read_own_answer(conn);
    if (answer.status != DPL_SUCCESS) {
        dpl_conn_terminate(conn);
        return;
    }
    scene.outcome.done = true;
    scene.outcome.lied = answer.number != scene.number;
    dpl_conn_release(conn);
}

static void request(void) {
    dpl_conn_t *conn = NULL;

    if (connect_to_any(&conn) == DPL_SUCCESS)
        ask_on_connection(conn);
}

/* One that is not in the list, and so has not been looked up. */
static void request_to_a_name(void) {
    dpl_conn_t *conn =
        dpl_conn_open_host(scene.ctx, AF_INET, "localhost", server_port(scene.server));

    if (conn)
        ask_on_connection(conn);
}

static void cut(struct iovec iov[5]) {
    static const size_t ends[] = {0, 1, 1, 9000, 9001, BIG};

    for (int i = 0; i < 5; i++)
        iov[i] = (struct iovec){.iov_base = big + ends[i], .iov_len = ends[i + 1] - ends[i]};
}

/* As far as a failed write got, the bytes must be the right ones; a whole one has them all. */
static void write_much(void) {
    uint64_t digest = server_digest(scene.server);
    long before = server_bytes(scene.server);
    long accepted = server_accepted(scene.server);
    dpl_conn_t *conn = NULL;
    struct iovec iov[5];
    dpl_status_t status;
    long came;

    cut(iov);
    if (connect_to_any(&conn) != DPL_SUCCESS)
        return;
    status = dpl_conn_writev_all(conn, iov, 5, 5);
    shim_pause();
    /* Over TLS there are tickets that nobody reads: closed so, a socket is reset. */
    if (status == DPL_SUCCESS)
        scene.outcome.lied = !EVENTUALLY(server_bytes(scene.server) - before >= BIG);
    shim_go_on();
    dpl_conn_terminate(conn);
    shim_pause();
    scene.outcome.lied |=
        !EVENTUALLY(server_accepted(scene.server) > accepted && server_open(scene.server) == 0);
    came = server_bytes(scene.server) - before;
    scene.outcome.done = status == DPL_SUCCESS;
    scene.outcome.lied |= came > BIG || (scene.outcome.done && came != BIG) ||
                          server_digest(scene.server) != digest_more(digest, big, (size_t)came);
}

/* ---- files ------------------------------------------------------------------------- */

static int file = -1;    /* what the library gets */
static int content = -1; /* where its bytes can be read */

static void prepare_file(void) {
    char path[256];

    scene.ctx = context_over_server(scene.server, profile);
    snprintf(path, sizeof path, "%s/written", scratch_dir());
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    content = open(path, O_RDONLY | O_CLOEXEC);
}

static void prepare_pipe(void) {
    int ends[2];

    scene.ctx = context_over_server(scene.server, profile);
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0, "a pipe is made");
    content = ends[0];
    file = ends[1];
}

static bool content_is_a_prefix(bool whole) {
    static char got[BIG + 1];
    size_t len = 0;
    ssize_t n;

    while ((n = read(content, got + len, sizeof got - len)) > 0)
        len += (size_t)n;
    return len <= BIG && memcmp(got, big, len) == 0 && (!whole || len == BIG);
}

/* All of it fits into a pipe. */
static void write_file(void) {
    dpl_conn_t *conn = dpl_conn_open_file(scene.ctx, file);
    dpl_status_t status;
    struct iovec iov[5];

    if (!conn) {
        shim_pause();
        scene.outcome.dirty = fcntl(file, F_GETFD) < 0; /* it must still be ours */
        close(file);
        close(content);
        return;
    }
    cut(iov);
    status = dpl_conn_writev_all(conn, iov, 5, 5);
    dpl_conn_release(conn);
    shim_pause();
    scene.outcome.done = status == DPL_SUCCESS;
    scene.outcome.lied = !content_is_a_prefix(scene.outcome.done);
    close(content);
}

/* ---- contexts ---------------------------------------------------------------------- */

static void make_context(void) {
    char text[600] = "";
    dpl_ctx_t *other;

    shim_pause();
    if (tls_wanted())
        snprintf(text, sizeof text, "use_https = true\nssl_ca_list = \"%s\"\n", authority_file());
    strcat(text, "host = 127.0.0.1:1, localhost:2\n");
    shim_go_on();
    other = dplx_ctx_new(text);
    scene.outcome.done = other != NULL;
    dplx_ctx_free(other);
    shim_pause();
}

const struct scenario scenarios[SCENARIOS] = {
    {"a request", ANSWER, prepare_request, request},
    {"a request on an idle connection", ANSWER, prepare_reuse, request},
    {"a request after a host that refuses", ANSWER, prepare_failover, request},
    {"a request to a name", ANSWER, prepare_request, request_to_a_name},
    {"a long write", DISCARD, prepare_request, write_much},
    {"a file", ANSWER, prepare_file, write_file},
    {"a pipe", ANSWER, prepare_pipe, write_file},
    {"a context", ANSWER, prepare_request, make_context},
};

void scene_begin(void) {
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 >> 3);
    scene.server = server_answering(1);
    scene.dead = server_start((struct server_options){.id = 2, .refuse = true});
}

void scene_end(void) {
    server_stop(scene.server);
    server_stop(scene.dead);
}
