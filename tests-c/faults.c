/*
 * Each system call that a scenario makes fails in turn, in each way in which it can, or moves a
 * single byte. What only delays must not be noticed. Otherwise a call may fail, but cleanly: no
 * host is blamed for what this side lacks, nothing leaks, and the next call works.
 */
#include <arpa/inet.h>
#include <errno.h>
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

enum {
    BIG = 17 * 1024 + 7, /* more than a record of TLS */
    NO_PERIOD = 1 << 30,
};

enum { TRANSFERS = SEND | RECV | WRITE | WRITEV };

/* What only delays. */
static const struct fault delays[] = {
    {"a transfer of one byte", ONE_BYTE, TRANSFERS},
    {"EINTR", EINTR, TRANSFERS | CONNECT | POLL | CLOSE},
    {"EAGAIN", EAGAIN, SEND | RECV | WRITEV | WRITE},
};

/* What this side lacks. */
static const struct fault lacks[] = {
    {"EMFILE", EMFILE, SOCKET | GETADDRINFO},
    {"ENFILE", ENFILE, SOCKET | GETADDRINFO},
    {"ENOBUFS", ENOBUFS, SOCKET | SETSOCKOPT | GETSOCKOPT | CONNECT | SEND | RECV},
    {"ENOMEM", ENOMEM,
     SOCKET | SETSOCKOPT | GETSOCKOPT | CONNECT | POLL | FCNTL | FSTAT | SEND | RECV |
         GETADDRINFO},
    {"EADDRNOTAVAIL", EADDRNOTAVAIL, CONNECT},
    {"an allocation that fails", ENOMEM, MEMORY},
};

/* What the peer, the network or a disk does. */
static const struct fault failures[] = {
    {"ECONNRESET", ECONNRESET, CONNECT | SEND | RECV},
    {"ECONNREFUSED", ECONNREFUSED, CONNECT},
    {"ENETUNREACH", ENETUNREACH, CONNECT},
    {"EPIPE", EPIPE, SEND | WRITE | WRITEV},
    {"EIO", EIO, WRITE | WRITEV | FSTAT | CLOSE},
    {"EAI_AGAIN", EAGAIN, GETADDRINFO},
};

/* What a run may end with. */
enum verdict { MUST_SUCCEED, MUST_NOT_BLAME, MAY_BLAME };

/* ---- scenarios --------------------------------------------------------------------- */

static struct server *server, *dead;
static dpl_ctx_t *ctx;
static int descriptors; /* before a run */
static long number;     /* of the last request */
static char big[BIG];

/* What the library's caller got. */
static bool reader_is_spared;

static struct outcome {
    bool done;  /* every call succeeded */
    bool lied;  /* and yet the bytes were not those that were sent */
    bool dirty; /* a call failed and left something behind */
} outcome;

struct scenario {
    const char *name;
    enum behaviour behaviour;
    void (*prepare)(void);
    void (*act)(void);
};

static const char profile[] = "read_buf_size = 8209\nconnection_timeout = 5\nread_timeout = 5\n";

static void prepare_request(void) {
    ctx = context_over_server(server, profile);
}

static void prepare_reuse(void) {
    prepare_request();
    REQUIRE(leave_idle(ctx, 2), "two connections are idle");
}

static void prepare_failover(void) {
    struct server *both[] = {dead, server};

    ctx = context_over_servers(both, 2, profile);
}

static dpl_status_t connect_to_any(dpl_conn_t **connp) {
    dpl_req_t *req;
    dpl_status_t status;

    shim_pause();
    req = request_new(ctx);
    shim_go_on();
    status = dpl_try_connect(ctx, req, connp);
    shim_pause();
    dpl_req_free(req);
    shim_go_on();
    outcome.dirty |= status != DPL_SUCCESS && *connp != NULL;
    return status;
}

/* Plain replies are read by Droplet, over TLS through the library. Droplet blacklists a host whose
 * reply it cannot read, whatever the reason. */
static struct answer read_own_answer(dpl_conn_t *conn) {
    struct answer answer;

    if (!tls_wanted() || reader_is_spared)
        shim_pause();
    answer = read_answer(conn);
    shim_go_on();
    return answer;
}

static void ask_on_connection(dpl_conn_t *conn) {
    dpl_status_t status = send_get(conn, ++number);
    struct answer answer = {.status = status};

    if (status == DPL_SUCCESS)
        answer = read_own_answer(conn);
    if (answer.status != DPL_SUCCESS) {
        dpl_conn_terminate(conn);
        return;
    }
    outcome.done = true;
    outcome.lied = answer.number != number;
    dpl_conn_release(conn);
}

static void request(void) {
    dpl_conn_t *conn = NULL;

    if (connect_to_any(&conn) == DPL_SUCCESS)
        ask_on_connection(conn);
}

/* One that is not in the list, and so has not been looked up. */
static void request_to_a_name(void) {
    dpl_conn_t *conn = dpl_conn_open_host(ctx, AF_INET, "localhost", server_port(server));

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
    uint64_t digest = server_digest(server);
    long before = server_bytes(server);
    long accepted = server_accepted(server);
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
        outcome.lied = !EVENTUALLY(server_bytes(server) - before >= BIG);
    shim_go_on();
    dpl_conn_terminate(conn);
    shim_pause();
    outcome.lied |= !EVENTUALLY(server_accepted(server) > accepted && server_open(server) == 0);
    came = server_bytes(server) - before;
    outcome.done = status == DPL_SUCCESS;
    outcome.lied |= came > BIG || (outcome.done && came != BIG) ||
                    server_digest(server) != digest_more(digest, big, (size_t)came);
}

/* ---- files ------------------------------------------------------------------------- */

static int file = -1;    /* what the library gets */
static int content = -1; /* where its bytes can be read */

static void prepare_file(void) {
    char path[256];

    ctx = context_over_server(server, profile);
    snprintf(path, sizeof path, "%s/written", scratch_dir());
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    content = open(path, O_RDONLY | O_CLOEXEC);
}

static void prepare_pipe(void) {
    int ends[2];

    ctx = context_over_server(server, profile);
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
    dpl_conn_t *conn = dpl_conn_open_file(ctx, file);
    dpl_status_t status;
    struct iovec iov[5];

    if (!conn) {
        shim_pause();
        outcome.dirty = fcntl(file, F_GETFD) < 0; /* it must still be ours */
        close(file);
        close(content);
        return;
    }
    cut(iov);
    status = dpl_conn_writev_all(conn, iov, 5, 5);
    dpl_conn_release(conn);
    shim_pause();
    outcome.done = status == DPL_SUCCESS;
    outcome.lied = !content_is_a_prefix(outcome.done);
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
    outcome.done = other != NULL;
    dplx_ctx_free(other);
    shim_pause();
}

static const struct scenario scenarios[] = {
    {"a request", ANSWER, prepare_request, request},
    {"a request on an idle connection", ANSWER, prepare_reuse, request},
    {"a request after a host that refuses", ANSWER, prepare_failover, request},
    {"a request to a name", ANSWER, prepare_request, request_to_a_name},
    {"a long write", DISCARD, prepare_request, write_much},
    {"a file", ANSWER, prepare_file, write_file},
    {"a pipe", ANSWER, prepare_pipe, write_file},
    {"a context", ANSWER, prepare_request, make_context},
};

enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---- one run ----------------------------------------------------------------------- */

/* Without memory OpenSSL may find a good certificate bad, and keep it so in its store. Nor does it
 * always say that memory was the reason. Neither is for a client to mend. */
static bool certificate_is_spoilt;

static void say_nothing(dpl_ctx_t *unused, dpl_log_level_t level, const char *message) {
    (void)unused;
    (void)level;
    certificate_is_spoilt |= strstr(message, "certificate refused") != NULL;
    if (getenv("SHOW_LOG"))
        fprintf(stderr, "# %s\n", message);
}

static const char *what_is_wrong(enum verdict verdict) {
    if (verdict == MUST_SUCCEED && !outcome.done)
        return "it failed";
    if (outcome.lied)
        return "the bytes are wrong";
    if (outcome.dirty)
        return "it failed and left something behind";
    if (verdict != MAY_BLAME && blacklisted_until(ctx, server) != 0)
        return "the host is blamed";
    dpl_addrlist_unblacklist(ctx->addrlist, "127.0.0.1", server_port(server));
    server_behave(server, ANSWER);
    if (!answered(ctx, ++number))
        return "the next request fails";
    if (ctx->n_conn_fds < 1 || ctx->n_conn_fds > 2)
        return "n_conn_fds is wrong";
    return NULL;
}

/* How many calls were struck; 0: the scenario does not get so far. */
static int run(const struct scenario *scenario, const struct fault *fault, int nth, int period,
               enum verdict verdict, const char **wrong) {
    int struck;

    outcome = (struct outcome){0};
    certificate_is_spoilt = false;
    reader_is_spared = verdict == MUST_NOT_BLAME;
    server_behave(server, ANSWER);
    descriptors = open_descriptors();
    scenario->prepare();
    server_behave(server, scenario->behaviour);
    shim_begin(fault, nth, period);
    scenario->act();
    struck = shim_end();
    if (fault->calls == MEMORY && tls_wanted())
        verdict = MAY_BLAME;
    *wrong = fault->calls == MEMORY && certificate_is_spoilt ? NULL : what_is_wrong(verdict);
    dpl_ctx_free(ctx);
    if (!EVENTUALLY(open_descriptors() == descriptors) && !*wrong)
        *wrong = "a descriptor leaks";
    return struck;
}

static int total;

/* Valgrind has time for some of the calls, and there are thousands of allocations in a handshake. */
static int stride(const struct fault *fault) {
    int all = patience(1) > 1 ? 7 : 1;

    if (fault->calls != MEMORY || !tls_wanted() || soak_wanted())
        return all;
    return all > 1 ? 401 : 11;
}

/* How many of the scenario's calls were struck. */
static int check_each(const struct scenario *scenario, const struct fault *fault,
                      enum verdict verdict) {
    const char *wrong = NULL;
    int struck = 0;
    int nth = 0;

    while (!wrong && run(scenario, fault, nth, NO_PERIOD, verdict, &wrong) > 0) {
        struck++;
        nth += stride(fault);
    }
    if (wrong)
        fprintf(stderr, "# %s, %s at call %d: %s\n", scenario->name, fault->name, nth, wrong);
    CHECK(!wrong, "%s, with %s at each call in turn", scenario->name, fault->name);
    return struck;
}

static void check_all(const struct fault *faults, size_t n, enum verdict verdict) {
    for (size_t i = 0; i < n; i++) {
        int struck = 0;

        if (faults[i].calls == MEMORY && patience(1) > 1) {
            check_skip("valgrind has an allocator of its own");
            continue;
        }
        for (int j = 0; j < SCENARIOS; j++)
            struck += check_each(&scenarios[j], &faults[i], verdict);
        fprintf(stderr, "# %s: %d calls\n", faults[i].name, struck);
        CHECK(struck > 0, "%s is met", faults[i].name);
        total += struck;
    }
}

#define CHECK_ALL(faults, verdict) check_all(faults, sizeof(faults) / sizeof *(faults), verdict)

/* ---- cases ------------------------------------------------------------------------- */

static void begin(void) {
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 >> 3);
    dpl_set_log_func(say_nothing);
    server = server_answering(1);
    dead = server_start((struct server_options){.id = 2, .refuse = true});
}

static void end(void) {
    fprintf(stderr, "# %d faults\n", total);
    server_stop(server);
    server_stop(dead);
}

static void delays_go_unnoticed(void) {
    begin();
    CHECK_ALL(delays, MUST_SUCCEED);
    end();
}

static void lacks_are_nobody_elses_fault(void) {
    begin();
    CHECK_ALL(lacks, MUST_NOT_BLAME);
    end();
}

static void failures_are_clean(void) {
    begin();
    CHECK_ALL(failures, MAY_BLAME);
    end();
}

/* One byte a transfer, or a third of the calls to do again. */
static void constant_delays_go_unnoticed(void) {
    const char *wrong;

    begin();
    for (int i = 0; i < SCENARIOS; i++)
        for (int j = 0; j < (int)(sizeof delays / sizeof *delays); j++) {
            int period = delays[j].error == ONE_BYTE ? 1 : 3; /* two in a row bring it no further */

            total += run(&scenarios[i], &delays[j], 0, period, MUST_SUCCEED, &wrong);
            if (wrong)
                fprintf(stderr, "# %s, %s: %s\n", scenarios[i].name, delays[j].name, wrong);
            CHECK(!wrong, "%s, with %s again and again", scenarios[i].name, delays[j].name);
        }
    end();
}

int main(void) {
    test_begin("faults");
    RUN(delays_go_unnoticed);
    RUN(lacks_are_nobody_elses_fault);
    RUN(failures_are_clean);
    RUN(constant_delays_go_unnoticed);
    return test_end();
}
