/* Statistics that the library writes by itself: the table on stderr, and the file. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/logs.h"
#include "support/scratch.h"

/* ---- the table --------------------------------------------------------------------- */

/* Prints on stderr the lines that a context of a dead and a live host logs when it is freed. */
static void print_table(char *text, size_t size) {
    struct server *servers[] = {server_start((struct server_options){.refuse = true}),
                                server_answering(1)};
    dpl_ctx_t *ctx = context_over_servers(servers, 2, "blacklist_expiretime = 1000");
    char path[256];
    int own = dup(STDERR_FILENO), file;
    ssize_t length;

    for (int i = 0; i < 6; i++)
        CHECK(answered(ctx, i), "request %d is answered", i);
    snprintf(path, sizeof path, "%s/stderr", scratch_dir());
    file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDERR_FILENO);
    dpl_ctx_free(ctx);
    dup2(own, STDERR_FILENO);
    length = pread(file, text, size - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    close(file);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void table_is_printed_on_request(void) {
    char text[4096];

    setenv("DPLX_STATS", "1", 1);
    print_table(text, sizeof text);
    fprintf(stderr, "%s", text);
    CHECK(strstr(text, "5 reused"), "it tells how often connections were reused");
    CHECK(strstr(text, "127.0.0.1:") && strstr(text, "available"), "and which host is available");
    CHECK(strstr(text, "out for ") && strstr(text, " s (refused)"), "which one is out and why");
    CHECK(strstr(text, "1 (1 refused)"), "and what failed");
}

static void no_table_is_printed_without(void) {
    char text[4096];

    unsetenv("DPLX_STATS");
    print_table(text, sizeof text);
    CHECK_STR(text, "", "nothing is printed");
    setenv("DPLX_STATS", "0", 1);
    print_table(text, sizeof text);
    CHECK_STR(text, "", "nor if it is switched off");
}

/* ---- the file ---------------------------------------------------------------------- */

static void unwritable_file_is_one_log_line(void) {
    struct server *server = server_answering(1);
    dpl_ctx_t *ctx;
    char path[256];

    snprintf(path, sizeof path, "%s/missing/x.prom", scratch_dir());
    setenv("DPLX_STATS_FILE", path, 1);
    logs_collect();
    for (int i = 0; i < 3; i++) {
        ctx = context_over_server(server, "");
        CHECK(answered(ctx, i), "request %d is answered", i);
        dpl_ctx_free(ctx);
    }
    CHECK_INT(logs_with(path), 1, "the log has one line of it");
    CHECK_INT(logs_with("No such file or directory"), 1, "which says why");
    snprintf(path, sizeof path, "%s/x.prom", scratch_dir());
    setenv("DPLX_STATS_FILE", path, 1);
    ctx = context_over_server(server, "");
    CHECK(answered(ctx, 4), "another path: a request is answered");
    dpl_ctx_free(ctx);
    CHECK_INT(access(path, R_OK), 0, "the file is there");
    CHECK_INT(logs_with("statistics file"), 1, "and no other line");
    server_stop(server);
}

int main(void) {
    test_begin("statistics_output");
    RUN(table_is_printed_on_request);
    RUN(no_table_is_printed_without);
    RUN(unwritable_file_is_one_log_line);
    return test_end();
}
