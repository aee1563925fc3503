/* Profiles as people write them: each error names the file, the line and the reason. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/logs.h"
#include "support/scratch.h"

static void write_profile(const char *name, const void *text, size_t len) {
    char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.profile", scratch_dir(), name);
    file = fopen(path, "w");
    REQUIRE(file && fwrite(text, 1, len, file) == len && fclose(file) == 0, "a profile is written");
}

/* Refused, with one line in the log: the profile's path, then this. */
static void check_refused_bytes(const void *text, size_t len, const char *fault, const char *what) {
    char line[1024];

    write_profile("bad", text, len);
    logs_collect();
    CHECK(!dpl_ctx_new(scratch_dir(), "bad"), "%s: no context", what);
    snprintf(line, sizeof line, "/bad.profile:%s", fault);
    CHECK_INT(logs_with(line), 1, "%s: reported", what);
    CHECK_INT(logs_count(), 1, "%s: in one line", what);
}

#define REFUSED(text, fault) check_refused_bytes(text, sizeof(text) - 1, fault, fault)

static void malformed_lines_are_told_of(void) {
    REFUSED("host = 127.0.0.1\nhost\n", "2: a statement without =");
    REFUSED("host = 127.0.0.1\n\n# fine = yes\nhost", "4: a statement without =");
    REFUSED("= 127.0.0.1\n", "1: no variable before =");
    REFUSED("host = 127.0.0.1;=", "1: no variable before =");
    REFUSED("\nhost = \"127.0.0.1\n\n", "2: a quote that does not end");
    REFUSED("host = 127.0.0.1\\", "1: a backslash at the end");
    REFUSED("\nhost = 127.0.0.1\0.2\n", "2: a NUL byte");
    REFUSED("\0", "1: a NUL byte");
    REFUSED("\x7f"
            "ELF\x02\x01\x01\0\0\0",
            "1: a NUL byte");
    REFUSED("\xff\xfe = \xff", "1: no such variable");
    REFUSED("", " no host is set");
    REFUSED("#", " no host is set");
    REFUSED("\nhost =\n", "2: no host is set");
    REFUSED("host = \", ;\"", "1: no host is set");
}

static void strings_have_a_limit(void) {
    char text[600];

    memset(text, 'a', sizeof text);
    memcpy(text, "host=127.0.0.1\naccess_key=", 26);
    write_profile("long", text, 26 + 256);
    logs_collect();
    dpl_ctx_t *ctx = dpl_ctx_new(scratch_dir(), "long");
    REQUIRE(ctx, "a value of 256 bytes is taken");
    CHECK_INT((long)strlen(ctx->access_key), 256, "all of it");
    dpl_ctx_free(ctx);
    check_refused_bytes(text, 26 + 257, "2: a value of more than 256 bytes", "a value of 257");
    memset(text, 'a', 300);
    check_refused_bytes(text, 256, "1: a statement without =", "a name of 256");
    check_refused_bytes(text, 257, "1: a variable of more than 256 bytes", "a name of 257");
}

#define LONG_NAME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void bad_values_are_told_of(void) {
    REFUSED("no_such_variable = 1", "1: no such variable");
    REFUSED("HOST = 127.0.0.1", "1: no such variable");
    REFUSED("\nuse_https = perhaps", "2: use_https: 'perhaps' is neither true nor false");
    REFUSED("use_https =", "1: use_https: '' is neither true nor false");
    REFUSED("host=127.0.0.1\nhost=127.0.0.1", "2: host: set a second time");
    REFUSED("\n\nhost=127.0.0.1:99999", "3: host: '127.0.0.1:99999' is not HOST or HOST:PORT");
    REFUSED("host=127.0.0.1:", "1: host: '127.0.0.1:' is not HOST or HOST:PORT");
    REFUSED("host=[::1]x", "1: host: ");
    /* Longer than a label may be: no name server is asked. */
    REFUSED("host=" LONG_NAME ".test", "1: host: no address for " LONG_NAME ".test: ");
    REFUSED("host=::1:80", "1: host: '::1:80' is ambiguous: write [::1:80], or [::1]:80");
    REFUSED("read_timeout=soon", "1: read_timeout: 'soon' is no number");
    REFUSED("read_timeout=99999999999999999999",
            "1: read_timeout: '99999999999999999999' is out of range");
    REFUSED("read_buf_size=0", "1: read_buf_size: '0' is out of range");
    REFUSED("aws_auth_sign_version=3", "1: aws_auth_sign_version: '3' is neither 2 nor 4");
    REFUSED("aws_region=12345678901234567890123456789012", "1: aws_region: ");
    REFUSED("base_path=/a/", "1: base_path: '/a/' ends with a slash");
    REFUSED("backend=s4", "1: backend: 's4' is none of s3, cdmi, swift, srws, sproxyd, posix");
    REFUSED("ssl_method=SSLv2", "1: ssl_method: 'SSLv2' is gone from OpenSSL");
    REFUSED("ssl_method=SSLv3", "1: ssl_method: 'SSLv3' is gone from OpenSSL");
    REFUSED("ssl_method=", "1: ssl_method: '' is none of SSLv23, TLSv1, TLSv1.1, TLSv1.2");
}

#define HTTPS "use_https=true\nhost=127.0.0.1\n"

static void bad_tls_is_told_of(void) {
    char text[1024];

    REFUSED(HTTPS "ssl_ca_list=/no/such/file",
            "3: ssl_ca_list: /no/such/file: No such file or directory");
    REFUSED(HTTPS "ssl_crl_list=/", "3: ssl_crl_list: /: Is a directory");
    REFUSED(HTTPS "ssl_cert_file=bad.profile", "3: ssl_cert_file: ");
    REFUSED(HTTPS "ssl_key_file=bad.profile", "3: ssl_key_file: ");
    REFUSED(HTTPS "ssl_cipher_list=none", "3: ssl_cipher_list: no cipher match");
    snprintf(text, sizeof text, HTTPS "ssl_cert_file=%s\nssl_key_file=%s\n", client_identity_file(),
             server_identity_file(NULL));
    check_refused_bytes(text, strlen(text), "4: ssl_key_file: ", "a key of another certificate");
}

static void folders_and_missing_files_are_told_of(void) {
    char path[512];

    snprintf(path, sizeof path, "%s/folder.profile", scratch_dir());
    REQUIRE(mkdir(path, 0700) == 0, "a folder is made");
    logs_collect();
    CHECK(!dpl_ctx_new(scratch_dir(), "folder"), "a folder is no profile");
    CHECK_INT(logs_with("/folder.profile: Is a directory"), 1, "reported");
    CHECK(!dpl_ctx_new(scratch_dir(), "missing"), "nor is a missing file");
    CHECK_INT(logs_with("/missing.profile: No such file or directory"), 1, "reported");
    CHECK(!dpl_ctx_new(scratch_dir(), ""), "nor is one without a name");
    CHECK_INT(logs_with("/.profile: No such file or directory"), 1, "reported");
    CHECK(!dpl_ctx_new("/no/such/folder", "bad"), "nor one in a missing folder");
    CHECK_INT(logs_with("/no/such/folder/bad.profile: No such file or directory"), 1, "reported");
    rmdir(path);
}

static void odd_values_are_taken_and_told_of(void) {
    static const char text[] =
        "host=127.0.0.1\nport = 1\nread_timeout = 7s\npricing = a\npricing_dir = b\n";

    write_profile("odd", text, sizeof text - 1);
    logs_collect();
    dpl_ctx_t *ctx = dpl_ctx_new(scratch_dir(), "odd");
    REQUIRE(ctx, "a context is made");
    CHECK_INT(ctx->read_timeout, 7, "the number is taken");
    CHECK_INT(logs_with("warning: "), 3, "three warnings");
    CHECK_INT(logs_with("/odd.profile:2: port: has no effect"), 1, "of the port");
    CHECK_INT(logs_with("/odd.profile:3: read_timeout: '7s' is taken for 7"), 1, "of the number");
    CHECK_INT(logs_with("/odd.profile: pricing and pricing_dir have no effect"), 1,
              "of the prices");
    CHECK_INT(logs_count(), 3, "and no more");
    dpl_ctx_free(ctx);
}

/* As editors on other systems write them. */
static void lines_may_end_with_carriage_returns(void) {
    static const char text[] = "# comment\r\n\r\nuse_https = false\r\nhost = 127.0.0.1:81\r\n"
                               "read_timeout = +0x10\r\naccess_key = \"a\"\r\nsecret_key = b\r";

    write_profile("crlf", text, sizeof text - 1);
    logs_collect();
    dpl_ctx_t *ctx = dpl_ctx_new(scratch_dir(), "crlf");
    REQUIRE(ctx, "a context is made");
    CHECK_INT(ctx->read_timeout, 16, "a number");
    CHECK_STR(ctx->access_key, "a", "a string in quotes");
    CHECK_STR(ctx->secret_key, "b", "the last line");
    CHECK_INT(logs_count(), 0, "nothing is odd");
    dpl_ctx_free(ctx);
}

static char *home;

/* In the place of libc's. */
struct passwd *getpwuid(uid_t uid) {
    static struct passwd entry;

    entry.pw_uid = uid;
    entry.pw_dir = home;
    return home ? &entry : NULL;
}

static void home_is_that_of_getpwuid(void) {
    static const char text[] = "host=127.0.0.1\naccess_key=home\n";
    char path[512];

    unsetenv("DPLDIR");
    unsetenv("DPLPROFILE");
    snprintf(path, sizeof path, "%s/.droplet", scratch_dir());
    REQUIRE(mkdir(path, 0700) == 0, "a folder is made");
    write_profile(".droplet/default", text, sizeof text - 1);
    home = strdup(scratch_dir());
    dpl_ctx_t *ctx = dpl_ctx_new(NULL, NULL);
    REQUIRE(ctx, "a context is made");
    CHECK_STR(ctx->access_key, "home", "from the profile below the home directory");
    CHECK_STR(ctx->droplet_dir, path, "whose folder it names");
    dpl_ctx_free(ctx);
    free(home);
    home = NULL;
    logs_collect();
    CHECK(!dpl_ctx_new(NULL, NULL), "without a home there is no context");
    CHECK_INT(logs_with("no home directory: set DPLDIR"), 1, "reported");
}

static void environment_names_the_profile(void) {
    static const char text[] = "host=127.0.0.1\naccess_key=environment\n";

    write_profile("named", text, sizeof text - 1);
    setenv("DPLDIR", scratch_dir(), 1);
    setenv("DPLPROFILE", "named", 1);
    setenv("DPL_TRACE_LEVEL", "0x4", 1);
    setenv("DPL_TRACE_BUFFERS", "1", 1);
    dpl_ctx_t *ctx = dpl_ctx_new(NULL, NULL);
    REQUIRE(ctx, "a context is made");
    CHECK_STR(ctx->access_key, "environment", "from the profile that DPLPROFILE names");
    CHECK_STR(ctx->droplet_dir, scratch_dir(), "in the folder that DPLDIR names");
    CHECK_STR(ctx->profile_name, "named", "it has the name");
    CHECK_INT(ctx->trace_level, 4, "DPL_TRACE_LEVEL counts");
    CHECK_INT(ctx->trace_buffers, 1, "DPL_TRACE_BUFFERS counts");
    CHECK_INT(ctx->trace_binary, 0, "DPL_TRACE_BINARY is not set");
    dpl_ctx_free(ctx);
    setenv("DPLPROFILE", "none", 1);
    ctx = dpl_ctx_new(NULL, "named");
    CHECK(ctx != NULL, "an argument comes before the environment");
    dpl_ctx_free(ctx);
}

int main(void) {
    test_begin("profiles");
    RUN(malformed_lines_are_told_of);
    RUN(strings_have_a_limit);
    RUN(bad_values_are_told_of);
    RUN(bad_tls_is_told_of);
    RUN(folders_and_missing_files_are_told_of);
    RUN(odd_values_are_taken_and_told_of);
    RUN(lines_may_end_with_carriage_returns);
    RUN(home_is_that_of_getpwuid);
    RUN(environment_names_the_profile);
    return test_end();
}
