/* Servers of other makes: OpenSSL's s_server, nginx and stunnel. Skips those not installed. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/program.h"
#include "support/scratch.h"

enum { ROUNDS = 20, IDLE = 10, MIB = 1024 * 1024 };

/* ---- servers ----------------------------------------------------------------------- */

/* One of another make, and a context over it. */
struct foreign {
    struct program *program;
    int port;
    dpl_ctx_t *ctx;
    char arguments[16][256];
};

static void run(struct foreign *foreign) {
    const char *arguments[17] = {NULL};

    for (int i = 0; i < 16 && *foreign->arguments[i]; i++)
        arguments[i] = foreign->arguments[i];
    foreign->program = program_start(foreign->port, arguments);
    REQUIRE(foreign->program, "%s runs", arguments[0]);
}

static struct foreign start(int port, const char *const arguments[]) {
    struct foreign foreign = {.port = port};
    char hosts[64];

    for (int i = 0; arguments[i]; i++)
        strncpy(foreign.arguments[i], arguments[i], sizeof *foreign.arguments - 1);
    run(&foreign);
    snprintf(hosts, sizeof hosts, "localhost:%d", port);
    foreign.ctx = context_over(hosts, "read_timeout = 10");
    REQUIRE(foreign.ctx, "a context is made");
    logs_collect();
    return foreign;
}

static void end(struct foreign foreign) {
    dpl_ctx_free(foreign.ctx);
    program_end(foreign.program, SIGKILL);
}

static bool is_missing(const char *name) {
    if (program_is_installed(name))
        return false;
    check_skip("it is not installed: scripts/setup.sh test sees to it");
    return true;
}

/* ---- what all of them must do ------------------------------------------------------ */

/* A request on each; the connection's TLS, and whether it was resumed. */
static dpl_conn_t *connect_to(struct foreign *foreign, int version) {
    dpl_conn_t *conn = checkout(foreign->ctx);

    REQUIRE(conn, "a connection is made");
    if (version && SSL_version(conn->ssl) != version)
        CHECK(false, "by %s", SSL_get_version(conn->ssl));
    return conn;
}

static void check_rounds(struct foreign *foreign, int version) {
    int good = 0;
    int reused = 0;

    for (int i = 0; i < ROUNDS; i++) {
        dpl_conn_t *conn = connect_to(foreign, version);

        good += answered_on(conn, i);
        reused += conn->n_hits > 0;
        dpl_conn_release(conn);
        if (i % 5 == 0)
            sleep_ms(20); /* time for whatever the server has to say */
    }
    CHECK_INT(good, ROUNDS, "20 requests are answered");
    CHECK_INT(reused, ROUNDS - 1, "all but the first on an idle connection");
}

static void check_resumption(struct foreign *foreign, int version) {
    int good = 0;
    int resumed = 0;
    int most = foreign->ctx->n_conn_max_hits;

    foreign->ctx->n_conn_max_hits = 0;
    for (int i = 0; i < ROUNDS + 1; i++) {
        dpl_conn_t *conn = connect_to(foreign, version);

        good += conn->n_hits == 0 && answered_on(conn, i);
        resumed += SSL_session_reused(conn->ssl);
        dpl_conn_release(conn);
    }
    foreign->ctx->n_conn_max_hits = most;
    CHECK_INT(good, ROUNDS + 1, "21 requests, each on a new connection, are answered");
    CHECK(resumed >= ROUNDS, "20 or more of them resume a session");
}

static void check_large_request(struct foreign *foreign) {
    dpl_conn_t *conn = connect_to(foreign, 0);
    char *body = calloc(1, 8 * MIB);
    char head[128];
    struct iovec iov[2] = {{.iov_base = head}, {.iov_base = body, .iov_len = 8 * MIB}};

    iov[0].iov_len = (size_t)snprintf(head, sizeof head,
                                      "PUT /7 HTTP/1.1\r\nHost: loopback\r\nX-Number: 7\r\n"
                                      "Content-Length: %d\r\n\r\n",
                                      8 * MIB);
    CHECK_STATUS(dpl_conn_writev_all(conn, iov, 2, 10), DPL_SUCCESS, "8 MiB are written");
    CHECK_INT(read_answer(conn).number, 7, "and answered");
    dpl_conn_release(conn);
    CHECK(answered(foreign->ctx, 8), "so is a request after it");
    free(body);
}

static void check_restart(struct foreign *foreign, int signal_number) {
    int good = 0;

    REQUIRE(leave_idle(foreign->ctx, IDLE), "10 connections serve and are idle");
    program_end(foreign->program, signal_number);
    run(foreign);
    for (int i = 0; i < ROUNDS; i++)
        good += answered(foreign->ctx, i);
    CHECK_INT(good, ROUNDS, "after a restart of the server, 20 requests are answered");
    CHECK_INT(foreign->ctx->n_conn_fds, 1, "and no stale connection is left");
}

static void check_quiet(struct foreign *foreign) {
    CHECK_INT(logs_count(), 0, "nothing is logged");
    CHECK_INT(hosts_available(foreign->ctx), 1, "nobody is blamed");
}

/* ---- nginx ------------------------------------------------------------------------- */

static struct foreign start_nginx(const char *protocols, const char *more) {
    int port = free_port();
    const char *identity = server_identity_file(NULL);
    char config[128];
    char errors[128];

    snprintf(errors, sizeof errors, "%s/nginx.log", scratch_dir());
    snprintf(
        config, sizeof config, "%s",
        scratch_file("nginx.conf",
                     "daemon off; master_process off; pid nginx.pid; error_log nginx.log;\n"
                     "events { worker_connections 64; }\n"
                     "http {\n"
                     "    access_log off; client_max_body_size 0;\n"
                     "    client_body_temp_path body; proxy_temp_path proxy;\n"
                     "    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
                     "    server {\n"
                     "        listen 127.0.0.1:%d ssl;\n"
                     "        ssl_certificate %s; ssl_certificate_key %s;\n"
                     "        ssl_protocols %s; ssl_session_tickets on;\n"
                     "        %s\n"
                     "        location / { return 200 \"1 $http_x_number\\n\"; }\n"
                     "    }\n"
                     "}\n",
                     port, identity, identity, protocols, more));
    return start(port,
                 (const char *[]){"nginx", "-p", scratch_dir(), "-c", config, "-e", errors, NULL});
}

static void check_nginx(const char *protocols, int version) {
    struct foreign nginx;

    if (is_missing("nginx"))
        return;
    nginx = start_nginx(protocols, "");
    check_rounds(&nginx, version);
    check_resumption(&nginx, version);
    check_large_request(&nginx);
    check_restart(&nginx, SIGTERM);
    check_restart(&nginx, SIGKILL);
    check_quiet(&nginx);
    end(nginx);
}

static void nginx_with_tls_1_2(void) {
    check_nginx("TLSv1.2", TLS1_2_VERSION);
}

static void nginx_with_tls_1_3(void) {
    check_nginx("TLSv1.3", TLS1_3_VERSION);
}

static void nginx_that_closes_idle_connections(void) {
    struct foreign nginx;

    if (is_missing("nginx"))
        return;
    nginx = start_nginx("TLSv1.2 TLSv1.3", "keepalive_timeout 1s;");
    for (int i = 0; i < 3; i++) {
        dpl_conn_t *conn = connect_to(&nginx, 0);

        CHECK_INT(conn->n_hits, 0, "a connection is a new one");
        CHECK(answered_on(conn, i), "a request is answered");
        dpl_conn_release(conn);
        CHECK(answered(nginx.ctx, i), "and another at once");
        sleep_ms(1500); /* longer than it keeps them */
    }
    check_quiet(&nginx);
    end(nginx);
}

static void nginx_that_closes_after_some_requests(void) {
    struct foreign nginx;
    int good = 0;

    if (is_missing("nginx"))
        return;
    nginx = start_nginx("TLSv1.2 TLSv1.3", "keepalive_requests 3;");
    for (int i = 0; i < ROUNDS; i++) {
        good += answered(nginx.ctx, i);
        sleep_ms(10);
    }
    CHECK_INT(good, ROUNDS, "20 requests are answered");
    check_quiet(&nginx);
    end(nginx);
}

/* ---- s_server ---------------------------------------------------------------------- */

static struct foreign start_s_server(const char *protocol, const char *mode) {
    int port = free_port();
    const char *identity = server_identity_file(NULL);
    char accept[64];

    snprintf(accept, sizeof accept, "127.0.0.1:%d", port);
    return start(port, (const char *[]){"openssl", "s_server", "-quiet", "-accept", accept, "-cert",
                                        identity, "-key", identity, protocol, mode, NULL});
}

/* Reads until the text comes or the stream ends. */
static bool read_until(dpl_conn_t *conn, const char *text) {
    static char bytes[64 * 1024];
    size_t len = 0;
    int n;

    do {
        n = SSL_read(conn->ssl, bytes + len, (int)(sizeof bytes - 1 - len));
        len += n > 0 ? (size_t)n : 0;
        bytes[len] = '\0';
    } while (n > 0 && !strstr(bytes, text));
    return n > 0;
}

/* It sends each line back, reversed. */
static void check_s_server(const char *protocol, int version) {
    struct foreign s_server;
    int good = 0;
    int reused = 0;
    int resumed = 0;

    if (is_missing("openssl"))
        return;
    s_server = start_s_server(protocol, "-rev");
    for (int i = 0; i < ROUNDS; i++) {
        dpl_conn_t *conn = connect_to(&s_server, version);

        good += write_string(conn, "tset\n", 5) == DPL_SUCCESS && read_until(conn, "test\n");
        reused += conn->n_hits > 0;
        dpl_conn_release(conn);
    }
    CHECK_INT(good, ROUNDS, "20 requests are answered");
    CHECK_INT(reused, ROUNDS - 1, "all but the first on an idle connection");
    end(s_server);

    /* It sends a page and closes. */
    s_server = start_s_server(protocol, "-www");
    good = 0;
    for (int i = 0; i < ROUNDS + 1; i++) {
        dpl_conn_t *conn = connect_to(&s_server, version);

        good += write_string(conn, "GET / HTTP/1.0\r\n\r\n", 5) == DPL_SUCCESS &&
                read_until(conn, "</pre></BODY></HTML>");
        resumed += SSL_session_reused(conn->ssl);
        dpl_conn_release(conn);
        sleep_ms(10);
    }
    CHECK_INT(good, ROUNDS + 1, "21 pages are read");
    CHECK(resumed >= ROUNDS, "20 or more of them in a resumed session");
    check_quiet(&s_server);
    end(s_server);
}

static void s_server_with_tls_1_2(void) {
    check_s_server("-tls1_2", TLS1_2_VERSION);
}

static void s_server_with_tls_1_3(void) {
    check_s_server("-tls1_3", TLS1_3_VERSION);
}

/* A new one has other keys for its tickets. */
static void s_server_that_is_restarted(void) {
    struct foreign s_server;
    dpl_conn_t *conn;

    if (is_missing("openssl"))
        return;
    s_server = start_s_server("-tls1_3", "-rev");
    for (int i = 0; i < 3; i++) {
        conn = connect_to(&s_server, TLS1_3_VERSION);
        CHECK_INT(conn->n_hits, 0, "a connection is a new one");
        CHECK_INT(SSL_session_reused(conn->ssl), 0, "its session too");
        CHECK(write_string(conn, "tset\n", 5) == DPL_SUCCESS && read_until(conn, "test\n"),
              "a request is answered");
        dpl_conn_release(conn);
        program_end(s_server.program, i ? SIGTERM : SIGKILL);
        run(&s_server);
    }
    check_quiet(&s_server);
    end(s_server);
}

/* ---- stunnel ----------------------------------------------------------------------- */

static struct foreign start_stunnel(struct server *behind, const char *version) {
    int port = free_port();
    char config[128];

    snprintf(config, sizeof config, "%s",
             scratch_file("stunnel.conf",
                          "foreground = yes\npid =\nsyslog = no\ndebug = err\n"
                          "[test]\naccept = 127.0.0.1:%d\nconnect = %s\ncert = %s\n"
                          "sslVersionMin = %s\nsslVersionMax = %s\n",
                          port, server_name(behind), server_identity_file(NULL), version, version));
    return start(port, (const char *[]){"stunnel4", config, NULL});
}

static void check_stunnel(const char *name, int version) {
    struct server *behind;
    struct foreign stunnel;

    if (is_missing("stunnel4"))
        return;
    behind = server_start((struct server_options){.id = 1, .tls = TLS_NEVER});
    stunnel = start_stunnel(behind, name);
    check_rounds(&stunnel, version);
    check_resumption(&stunnel, version);
    check_large_request(&stunnel);
    check_restart(&stunnel, SIGTERM);
    check_restart(&stunnel, SIGKILL);
    REQUIRE(leave_idle(stunnel.ctx, IDLE), "10 connections serve and are idle");
    server_close_connections(behind);
    sleep_ms(100);
    CHECK(answered(stunnel.ctx, 1), "the server behind closes them, a request is answered");
    CHECK_INT(stunnel.ctx->n_conn_fds, 1, "and no stale connection is left");
    check_quiet(&stunnel);
    end(stunnel);
    server_stop(behind);
}

static void stunnel_with_tls_1_2(void) {
    check_stunnel("TLSv1.2", TLS1_2_VERSION);
}

static void stunnel_with_tls_1_3(void) {
    check_stunnel("TLSv1.3", TLS1_3_VERSION);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("peers");
    RUN(nginx_with_tls_1_2);
    RUN(nginx_with_tls_1_3);
    RUN(nginx_that_closes_idle_connections);
    RUN(nginx_that_closes_after_some_requests);
    RUN(s_server_with_tls_1_2);
    RUN(s_server_with_tls_1_3);
    RUN(s_server_that_is_restarted);
    RUN(stunnel_with_tls_1_2);
    RUN(stunnel_with_tls_1_3);
    return test_end();
}
