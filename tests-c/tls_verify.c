/* Whom a context that verifies certificates connects to, and what it says of the others. */
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/peer.h"
#include "support/resolver.h"

static const char off[] = "DPLX_TLS_VERIFY_HOST=off";

/* A server under some name that leads to it, and a context over that. */
struct host {
    struct peer *peer;
    dpl_ctx_t *ctx;
};

static struct host host_under(const char *name, SSL_CTX *tls, const char *more) {
    struct host host = {.peer = peer_start(tls)};
    char hosts[256];

    resolve_test_names();
    snprintf(hosts, sizeof hosts, "%s:%s", name, peer_port(host.peer));
    host.ctx = context_over(hosts, more);
    REQUIRE(host.ctx, "a context over %s is made", name);
    logs_collect();
    return host;
}

static void forget(struct host host) {
    dpl_ctx_free(host.ctx);
    peer_stop(host.peer);
}

static dpl_conn_t *checkout_bucket(dpl_ctx_t *ctx, const char *bucket) {
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_conn_t *conn = NULL;

    dpl_req_set_bucket(req, bucket);
    dpl_try_connect(ctx, req, &conn);
    dpl_req_free(req);
    return conn;
}

/* A connection on which requests are answered, given back. */
static bool serves(struct host host, dpl_conn_t *conn) {
    bool good = conn && converse_with(conn, peer_tls(host.peer, peer_accepted(host.peer) - 1));

    if (conn)
        dpl_conn_release(conn);
    return good;
}

static void check_refused(struct host host, const char *reason) {
    char line[256];

    CHECK(checkout(host.ctx) == NULL, "there is no connection");
    snprintf(line, sizeof line, "%s: certificate refused: %s", peer_name(host.peer), reason);
    CHECK(logs_with(line) == 1, "the log names the address and says \"%s\"", reason);
    CHECK_INT(logs_count(), 1, "in one line");
    CHECK_INT(hosts_available(host.ctx), 0, "the host is out");
    CHECK_INT(host.ctx->n_conn_fds, 0, "no connection is counted");
}

/* ---- the chain --------------------------------------------------------------------- */

static void check_flaw(enum flaw flaw, const char *more, const char *reason) {
    struct host host = host_under("localhost", server_tls_flawed(NULL, flaw), more);

    check_refused(host, reason);
    CHECK_INT(logs_with(off), 0, "which no switch switches off");
    forget(host);
}

static void untrusted_authority_is_refused(void) {
    check_flaw(UNTRUSTED, "", "unable to get local issuer certificate");
}

static void expired_certificate_is_refused(void) {
    check_flaw(EXPIRED, "", "certificate has expired");
}

static void certificate_of_the_future_is_refused(void) {
    check_flaw(NOT_YET_VALID, "", "certificate is not yet valid");
}

/* A profile's line: the list must know the certificate, so the server's is made before. */
static const char *with_revocations(void) {
    static char line[256];

    snprintf(line, sizeof line, "ssl_crl_list = \"%s\"", revocations_file());
    return line;
}

static void revoked_certificate_is_refused(void) {
    SSL_CTX *tls = server_tls_flawed(NULL, REVOKED);
    struct host host = host_under("localhost", tls, with_revocations());

    check_refused(host, "certificate revoked");
    CHECK_INT(logs_with(off), 0, "which no switch switches off");
    forget(host);
}

static void certificate_that_is_not_revoked_is_accepted(void) {
    SSL_CTX *revoked = server_tls_flawed(NULL, REVOKED);
    struct host host = host_under("localhost", server_tls_new(NULL), with_revocations());

    CHECK(serves(host, checkout(host.ctx)), "a request is answered");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    forget(host);
    SSL_CTX_free(revoked);
}

static void context_that_does_not_verify_connects_to_all(void) {
    static const enum flaw flaws[] = {FLAWLESS, UNTRUSTED, EXPIRED, NOT_YET_VALID, REVOKED};
    static const char *const names[] = {"localhost", "127.0.0.1", "other.test"};

    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        SSL_CTX *tls = server_tls_flawed("DNS:localhost,IP:127.0.0.1", flaws[i]);
        struct host host;
        char more[512];

        snprintf(more, sizeof more, "cert_verif = false\n%s", with_revocations());
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            SSL_CTX_up_ref(tls);
            host = host_under(names[j], tls, more);
            CHECK(serves(host, checkout(host.ctx)), "flaw %zu, host %s: a request is answered", i,
                  names[j]);
            CHECK_INT(logs_count(), 0, "nothing is logged");
            forget(host);
        }
        SSL_CTX_free(tls);
    }
}

/* ---- the name ---------------------------------------------------------------------- */

static void check_accepted(const char *name, const char *certified) {
    struct host host = host_under(name, server_tls_new(certified), "");

    CHECK(serves(host, checkout(host.ctx)), "%s with a certificate for %s: answered", name,
          certified);
    CHECK_INT(logs_count(), 0, "nothing is logged");
    forget(host);
}

static void check_mismatch(const char *name, const char *certified, const char *reason,
                           const char *in_words) {
    struct host host = host_under(name, server_tls_new(certified), "");
    char words[256];

    check_refused(host, reason);
    snprintf(words, sizeof words, "wanted %s,", name);
    CHECK_INT(logs_with(words), 1, "it says whom was wanted, %s", name);
    CHECK_INT(logs_with(in_words), 1, "whom the certificate is for, %s", in_words);
    CHECK_INT(logs_with(off), 1, "and how the check is switched off");
    forget(host);
}

static void right_names_are_accepted(void) {
    check_accepted("localhost", "DNS:localhost");
    check_accepted("host.test", "DNS:other.test,DNS:host.test");
    check_accepted("host.test", "DNS:HOST.Test");
    check_accepted("HOST.test", "DNS:host.test");
    check_accepted("127.0.0.1", "IP:127.0.0.1");
    check_accepted("127.0.0.1", "DNS:host.test,IP:10.0.0.1,IP:127.0.0.1");
}

static void wrong_name_is_refused(void) {
    check_mismatch("host.test", "DNS:other.test", "hostname mismatch", "other.test");
}

static void every_name_of_the_certificate_is_logged(void) {
    check_mismatch("host.test", "DNS:a.test,DNS:*.b.test,IP:10.0.0.1,IP:fe80::1",
                   "hostname mismatch", "a.test, *.b.test, 10.0.0.1, fe80::1");
}

static void name_within_a_name_is_refused(void) {
    check_mismatch("host.test", "DNS:the.host.test,DNS:est,DNS:test", "hostname mismatch",
                   "the.host.test");
}

/* A name is not certified by the address it leads to, nor an address by a name that leads to it. */
static void address_does_not_stand_for_a_name(void) {
    check_mismatch("host.test", "IP:127.0.0.1", "hostname mismatch", "127.0.0.1");
}

static void wrong_address_is_refused(void) {
    check_mismatch("127.0.0.1", "IP:127.0.0.2,DNS:localhost", "IP address mismatch", "127.0.0.2");
}

static void address_as_a_name_is_refused(void) {
    check_mismatch("127.0.0.1", "DNS:127.0.0.1", "IP address mismatch", "127.0.0.1");
}

static void wildcard_stands_for_one_label(void) {
    check_accepted("a.host.test", "DNS:*.host.test");
    check_mismatch("a.b.host.test", "DNS:*.host.test", "hostname mismatch", "*.host.test");
    check_mismatch("host.test", "DNS:*.host.test", "hostname mismatch", "*.host.test");
}

static void wildcard_stands_for_a_whole_label(void) {
    check_mismatch("ab.host.test", "DNS:a*.host.test", "hostname mismatch", "a*.host.test");
}

static void wildcard_is_no_address(void) {
    check_mismatch("127.0.0.1", "DNS:*.0.0.1", "IP address mismatch", "*.0.0.1");
}

static void common_name_is_logged(void) {
    check_mismatch("host.test", "", "hostname mismatch", "it is for loopback server");
}

/* The dot belongs to the look-up (RFC 6066, section 3). */
static void final_dot_is_not_part_of_the_name(void) {
    check_accepted("host.test.", "DNS:host.test");
}

/* Buckets have such names, though no host may. */
static void underscore_is_part_of_a_label(void) {
    check_accepted("my_bucket.host.test", "DNS:*.host.test");
    check_accepted("my_bucket.host.test", "DNS:other.test,DNS:*.HOST.test");
    check_accepted("_.host.test", "DNS:*.host.test");
    check_accepted("my_bucket.host.test", "DNS:my_bucket.host.test");
    check_mismatch("a.my_bucket.host.test", "DNS:*.host.test", "hostname mismatch", "*.host.test");
    check_mismatch("my_a.b.host.test", "DNS:*.host.test", "hostname mismatch", "*.host.test");
    check_mismatch("my_bucket.host.test", "DNS:my*.host.test", "hostname mismatch", "my*.host");
    check_mismatch("my_bucket.host.test", "DNS:*.test", "hostname mismatch", "*.test");
    check_mismatch("my_bucket.host.test", "DNS:my-bucket.host.test", "hostname mismatch", "my-b");
    check_mismatch("my_bucket.host.test", "DNS:*.other.test", "hostname mismatch", "*.other.test");
}

/* ---- virtual hosting --------------------------------------------------------------- */

static void bucket_is_part_of_the_name(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:*.host.test"), "");

    CHECK(serves(host, checkout_bucket(host.ctx, "bucket")), "bucket.host.test is accepted");
    CHECK_INT(logs_count(), 0, "nothing is logged");
    CHECK(checkout(host.ctx) == NULL, "host.test itself is not");
    CHECK_INT(logs_with("wanted host.test,"), 1, "the log says so");
    forget(host);
}

static void certificate_of_the_host_is_not_the_buckets(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:host.test"), "");

    CHECK(serves(host, checkout(host.ctx)), "host.test is accepted");
    CHECK(checkout_bucket(host.ctx, "bucket") == NULL, "bucket.host.test is not");
    CHECK_INT(logs_with("wanted bucket.host.test, it is for host.test"), 1, "the log says so");
    forget(host);
}

/* An idle connection serves the name only that it was verified for. */
static void connection_of_one_bucket_does_not_serve_another(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:one.host.test"), "");

    CHECK(serves(host, checkout_bucket(host.ctx, "one")), "one.host.test is accepted");
    CHECK_INT(host.ctx->n_conn_fds, 1, "its connection is idle");
    CHECK(checkout_bucket(host.ctx, "two") == NULL, "two.host.test has no connection");
    CHECK_INT(logs_with("wanted two.host.test, it is for one.host.test"), 1, "the log says why");
    forget(host);
}

static void opened_host_is_verified(void) {
    struct host host = host_under("host.test", server_tls_new("DNS:host.test"), "");
    const char *port = peer_port(host.peer);

    CHECK(serves(host, dpl_conn_open_host(host.ctx, AF_INET, "host.test", port)),
          "host.test is opened");
    CHECK(dpl_conn_open_host(host.ctx, AF_INET, "other.test", port) == NULL, "other.test is not");
    CHECK_INT(logs_with("wanted other.test, it is for host.test"), 1, "the log says why");
    forget(host);
}

/* ---- the switch in the environment ------------------------------------------------- */

/* Run under that name, this program connects once; its exit status says whether it could. */
static const char connect_once[] = "connect-once";

static int run_connect_once(const char *authority, const char *hosts) {
    char text[1024];
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;

    resolve_test_names();
    snprintf(text, sizeof text,
             "use_https = true\nssl_ca_list = \"%s\"\nhost = \"%s\"\npricing_dir = \"\"\n",
             authority, hosts);
    ctx = context_from_text(text);
    conn = ctx ? checkout(ctx) : NULL;
    if (conn)
        dpl_conn_release(conn);
    dpl_ctx_free(ctx);
    return conn ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* In a new process, since a process may read its environment but once. */
static bool connects_with(const char *value, const char *name, SSL_CTX *tls) {
    struct peer *peer = peer_start(tls);
    char self[4096] = "";
    char hosts[256];
    char *arguments[] = {self, (char *)(uintptr_t)connect_once, (char *)(uintptr_t)authority_file(),
                         hosts, NULL};
    int status = -1;
    pid_t child;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return false;
    snprintf(hosts, sizeof hosts, "%s:%s", name, peer_port(peer));
    setenv("DPLX_TLS_VERIFY_HOST", value, 1);
    if (posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0)
        waitpid(child, &status, 0);
    peer_stop(peer);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= EXIT_FAILURE, "a process ends well");
    return status == EXIT_SUCCESS;
}

static void environment_switches_the_name_check_off(void) {
    CHECK(connects_with("off", "host.test", server_tls_new("DNS:other.test")),
          "off: the wrong name is accepted");
    CHECK(connects_with("off", "127.0.0.1", server_tls_new("DNS:other.test")),
          "off: the wrong address is accepted");
    CHECK(!connects_with("off", "host.test", server_tls_flawed("DNS:host.test", UNTRUSTED)),
          "off: an untrusted authority is not");
    CHECK(!connects_with("off", "host.test", server_tls_flawed("DNS:host.test", EXPIRED)),
          "off: an expired certificate is not");
    CHECK(!connects_with("on", "host.test", server_tls_new("DNS:other.test")),
          "on: the wrong name is not");
    CHECK(!connects_with("", "host.test", server_tls_new("DNS:other.test")),
          "empty: the wrong name is not");
    CHECK(connects_with("on", "host.test", server_tls_new("DNS:host.test")),
          "on: the right name is");
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], connect_once) == 0)
        return run_connect_once(argv[2], argv[3]);
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_verify");
    RUN(untrusted_authority_is_refused);
    RUN(expired_certificate_is_refused);
    RUN(certificate_of_the_future_is_refused);
    RUN(revoked_certificate_is_refused);
    RUN(certificate_that_is_not_revoked_is_accepted);
    RUN(context_that_does_not_verify_connects_to_all);
    RUN(right_names_are_accepted);
    RUN(wrong_name_is_refused);
    RUN(every_name_of_the_certificate_is_logged);
    RUN(name_within_a_name_is_refused);
    RUN(address_does_not_stand_for_a_name);
    RUN(wrong_address_is_refused);
    RUN(address_as_a_name_is_refused);
    RUN(wildcard_stands_for_one_label);
    RUN(wildcard_stands_for_a_whole_label);
    RUN(wildcard_is_no_address);
    RUN(common_name_is_logged);
    RUN(final_dot_is_not_part_of_the_name);
    RUN(underscore_is_part_of_a_label);
    RUN(bucket_is_part_of_the_name);
    RUN(certificate_of_the_host_is_not_the_buckets);
    RUN(connection_of_one_bucket_does_not_serve_another);
    RUN(opened_host_is_verified);
    RUN(environment_switches_the_name_check_off);
    return test_end();
}
