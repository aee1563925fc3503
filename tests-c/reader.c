/* The choice of the reader: DPLX_REPLY_READER=droplet hands over to the next definition, where there is one. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "support/ends.h"

/* Is there another definition behind the one that is called? Linked statically and alone there is none. */
static bool host_is_behind(void) {
    void *host = dlopen("libdroplet.so.0", RTLD_LAZY | RTLD_NOLOAD);
    void *called = dlsym(RTLD_DEFAULT, "dpl_read_http_reply");
    void *next = host ? dlsym(host, "dpl_read_http_reply") : NULL;

    return next && called && next != called;
}

/* The host's own reader keeps no fields. */
static void check_reader(bool is_ours, const char *what) {
    struct ends ends = begin(false, "");
    struct reply reply;

    request(&ends);
    say(&ends, OK "ETag: 1\r\nContent-Length: 5\r\n\r\nhello");
    reply = receive(&ends, 1);
    CHECK_STATUS(reply.status, is_ours ? DPL_SUCCESS : DPL_ENOTSUPP, "%s", what);
    CHECK_INT(reply.headers != NULL, is_ours, "%s: fields", what);
    forget(&reply);
    dpl_conn_terminate(ends.conn);
    end(&ends);
}

static void reader_is_ours(void) {
    check_reader(true, "without the variable");
    setenv("DPLX_REPLY_READER", "droplet", 1);
    check_reader(true, "later it has no effect");
}

static void reader_may_be_droplets(void) {
    bool is_behind = host_is_behind();

    setenv("DPLX_REPLY_READER", "droplet", 1);
    logs_collect();
    check_reader(!is_behind, "with the variable");
    CHECK_INT(logs_with("there is no other reply reader"), !is_behind, "a lack of one is logged");
    check_reader(!is_behind, "with the variable");
    CHECK_INT(logs_with("there is no other reply reader"), !is_behind, "once");
}

static void other_values_mean_nothing(void) {
    setenv("DPLX_REPLY_READER", "ours", 1);
    logs_collect();
    check_reader(true, "with another value");
    CHECK_INT(logs_count(), 0, "nothing is logged");
}

int main(void) {
    unsetenv("DPLX_REPLY_READER");
    test_begin("reader");
    RUN(reader_is_ours);
    RUN(reader_may_be_droplets);
    RUN(other_values_mean_nothing);
    return test_end();
}
