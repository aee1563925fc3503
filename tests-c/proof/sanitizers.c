/* Shows that the sanitizers are in: each error that is made here on purpose must be reported, whether
 * it is made in C with memory of the library, or in the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/loopback.h"

enum { REPORTED = 9 }; /* exitcode= of the sanitizers' options */

/* Of a child that commits an error: what it printed on stderr. */
static char report[64 * 1024];

static int status_of(void (*error)(void)) {
    size_t len = 0;
    int ends[2];
    ssize_t n;
    int status;
    pid_t child;

    REQUIRE(pipe(ends) == 0, "a pipe is made");
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        error();
        exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    while ((n = read(ends[0], report + len, sizeof report - 1 - len)) > 0)
        len += (size_t)n;
    report[len] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It is reported, by these words, and so is a place in the library. */
static void check_report(void (*error)(void), const char *words, const char *place) {
    int status = status_of(error);
    bool good = status == REPORTED && strstr(report, words) && (!place || strstr(report, place));

    CHECK(good, "reported: %s", words);
    if (!good)
        fprintf(stderr, "# status %d, \"%s\" and \"%s\" expected:\n%s\n", status, words,
                place ? place : "", report);
}

/* ---- errors ------------------------------------------------------------------------ */

static void no_error(void) {
    dpl_addrlist_t *list = dpl_addrlist_create_from_str(NULL, "127.0.0.2:81");

    free(dpl_addrlist_get(list));
    dpl_addrlist_free(list);
}

static void write_past_a_string(void) {
    dpl_addrlist_t *list = dpl_addrlist_create_from_str(NULL, "127.0.0.2:81");
    char *volatile text = dpl_addrlist_get(list);

    text[strlen(text) + 1] = 'x';
}

static void lose_a_string(void) {
    dpl_addrlist_t *list = dpl_addrlist_create_from_str(NULL, "127.0.0.2:81");
    char *volatile text = dpl_addrlist_get(list);

    text = NULL;
    (void)text;
    dpl_addrlist_free(list);
}

static dpl_ctx_t *ctx;

static void read_from_a_connection_that_ended(void) {
    dpl_conn_t *conn = checkout(ctx);
    char *volatile buffer = conn->read_buf;
    volatile char byte;

    dpl_conn_terminate(conn);
    byte = buffer[0];
    (void)byte;
}

static void read_a_host_that_is_gone(void) {
    dpl_addrlist_t *list = dpl_addrlist_create_from_str(NULL, "127.0.0.2:81");
    dpl_addr_t *volatile addr = LIST_FIRST(&list->addr_list);
    volatile int byte;

    dpl_addrlist_free(list);
    byte = addr->host[0];
    (void)byte;
}

/* The library is told a size that the block does not have, and writes behind it. */
static void have_the_library_write_past_a_block(void) {
    dplx_conn_info_t *info = malloc(sizeof *info / 2);
    dpl_conn_t *conn = checkout(ctx);

    info->size = sizeof *info;
    dplx_conn_info(conn, info);
}

/* The same with a freed block. */
static void have_the_library_write_to_a_freed_block(void) {
    dplx_conn_info_t *volatile info = malloc(sizeof *info);
    dpl_conn_t *conn = checkout(ctx);

    info->size = sizeof *info;
    free(info);
    dplx_conn_info(conn, info);
}

static void overflow_an_integer(void) {
    volatile int number = 0x7fffffff;

    number++;
}

/* ---- cases ------------------------------------------------------------------------- */

static void errors_in_c_are_reported(void) {
    struct server *server = server_answering(1);

    ctx = context_over_server(server, "");
    CHECK_INT(status_of(no_error), 0, "no report without an error");
    check_report(write_past_a_string, "heap-buffer-overflow", "droplet_conn");
    check_report(lose_a_string, "LeakSanitizer: detected memory leaks", "droplet_conn");
    check_report(read_a_host_that_is_gone, "heap-use-after-free", "droplet_conn");
    check_report(read_from_a_connection_that_ended, "heap-use-after-free", "droplet_conn");
    check_report(overflow_an_integer, "signed integer overflow", NULL);
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void errors_in_the_library_are_reported(void) {
    struct server *server = server_answering(1);

    ctx = context_over_server(server, "");
    check_report(have_the_library_write_past_a_block, "heap-buffer-overflow", "in dplx_conn_info");
    check_report(have_the_library_write_to_a_freed_block, "heap-use-after-free", "in dplx_conn_info");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("sanitizers");
    RUN(errors_in_c_are_reported);
    RUN(errors_in_the_library_are_reported);
    return test_end();
}
