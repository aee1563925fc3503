/* Memory runs out while a reply is read: the status says so, and no host is blamed. */
#include <errno.h>

#include "support/ends.h"
#include "support/dplx.h"
#include "support/shim.h"

static const struct fault no_memory = {"no memory", ENOMEM, MEMORY};

/* Reads a reply of which every allocation fails after the first n. Returns how many failed. */
static int read_without_memory(int n, dpl_status_t *status) {
    struct ends ends = begin(false, "");
    struct reply reply;
    int failed;

    request(&ends);
    say(&ends, OK "ETag: 1\r\nContent-Length: 5\r\n\r\nhello");
    shim_begin(&no_memory, n, 1);
    reply = receive(&ends, 1);
    failed = shim_end();
    *status = reply.status;
    if (*status == DPL_ENOMEM) {
        CHECK(strstr(dplx_last_error(), "out of memory"), "allocation %d: the text says so", n);
        CHECK(reply.len == 0 || !memcmp(reply.data, "hello", reply.len), "what came is stored");
    } else {
        CHECK_STATUS(*status, DPL_SUCCESS, "allocation %d: not needed", n);
        CHECK(reply.len == 5 && !memcmp(reply.data, "hello", 5), "the reply is whole");
    }
    CHECK_INT(hosts_available(ends.ctx), 1, "no host is blamed");
    forget(&reply);
    dpl_conn_release(ends.conn);
    CHECK_INT(request(&ends), *status != DPL_SUCCESS, "the rest of a reply is no reply to the next request");
    dpl_conn_terminate(ends.conn);
    end(&ends);
    return failed;
}

static void status_says_that_memory_is_out(void) {
    dpl_status_t status;
    int refused = 0;

    for (int n = 0; read_without_memory(n, &status) > 0; n++)
        refused += status == DPL_ENOMEM;
    CHECK_STATUS(status, DPL_SUCCESS, "with all its memory the reply is read");
    if (machine_is_slow()) {
        check_skip("valgrind has an allocator of its own");
        return;
    }
    CHECK(refused > 2, "fields and body need memory");
}

int main(void) {
    test_begin("memory");
    RUN(status_says_that_memory_is_out);
    return test_end();
}
