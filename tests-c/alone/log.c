/* The log and its traces: what they look like, who gets them, and dumps of what is sent. */
#include <openssl/err.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/clock.h"
#include "support/scratch.h"

/* ---- what goes to stderr ----------------------------------------------------------- */

static char captured[64 * 1024];
static int real_stderr;

static void capture_begin(void) {
    char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/stderr", scratch_dir());
    file = fopen(path, "w");
    REQUIRE(file != NULL, "a file is made");
    real_stderr = dup(2);
    dup2(fileno(file), 2);
    fclose(file);
}

static const char *capture_end(void) {
    char path[512];
    FILE *file;

    dup2(real_stderr, 2);
    close(real_stderr);
    snprintf(path, sizeof path, "%s/stderr", scratch_dir());
    file = fopen(path, "r");
    captured[fread(captured, 1, sizeof captured - 1, file)] = '\0';
    fclose(file);
    return captured;
}

/* ---- the program's functions ------------------------------------------------------- */

static struct {
    int calls;
    dpl_ctx_t *ctx;
    int level;
    char text[4096];
} last;

static void take_line(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message) {
    last.calls++;
    last.ctx = ctx;
    last.level = (int)level;
    strcpy(last.text, message);
}

static void take_trace(pid_t tid, dpl_trace_t level, const char *file, const char *func, int lineno,
                       char *buf) {
    last.calls++;
    last.level = (int)level;
    snprintf(last.text, sizeof last.text, "%d %s %s %d %s", tid == gettid(), file, func, lineno,
             buf);
}

static void lines_have_level_place_and_message(void) {
    dpl_ctx_t ctx;

    dpl_set_log_func(take_line);
    CHECK_STATUS(dpl_log(&ctx, DPL_ERROR, "a.c", "f", 7, "%s %d %.1f %c %ld %d %d", "x", 1, 2.5,
                         'y', 3L, 4, 5),
                 DPL_SUCCESS, "a line is logged");
    CHECK_STR(last.text, "error: a.c:7: f: x 1 2.5 y 3 4 5", "with all there is");
    CHECK(last.ctx == &ctx && last.level == DPL_ERROR, "its context and level are handed on");
    dpl_log(NULL, DPL_WARNING, "a.c", NULL, 7, "m");
    CHECK_STR(last.text, "warning: a.c:7: m", "without a function");
    dpl_log(NULL, DPL_INFO, NULL, "f", 7, "m");
    CHECK_STR(last.text, "info: f: m", "without a file");
    dpl_log(NULL, DPL_DEBUG, NULL, NULL, 7, "100%%");
    CHECK_STR(last.text, "DEBUG: 100%", "without either");
    dpl_log(NULL, (dpl_log_level_t)9, NULL, NULL, 7, "m");
    CHECK_STR(last.text, "m", "of a level that has no word");
    DPL_LOG(NULL, DPL_ERROR, "none");
    CHECK(strstr(last.text, "lines_have_level_place_and_message: none") != NULL, "DPL_LOG");
    CHECK_INT(last.calls, 6, "a line a call");
}

static void long_lines_are_cut(void) {
    char text[4000];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    dpl_set_log_func(take_line);
    CHECK_STATUS(dpl_log(NULL, DPL_ERROR, "a.c", "f", 7, "%s", text), DPL_SUCCESS, "it is logged");
    CHECK_INT((long)strlen(last.text), 2047, "up to 2,047 bytes");
    text[2047 - 16] = '\0';
    dpl_log(NULL, DPL_ERROR, "a.c", "f", 7, "%s", text);
    CHECK_INT((long)strlen(last.text), 2047, "so many are not cut");
}

static void without_a_function_lines_go_to_stderr(void) {
    dpl_set_log_func(take_line);
    dpl_set_log_func(NULL);
    capture_begin();
    dpl_log(NULL, DPL_WARNING, "a.c", "f", 7, "one");
    dpl_log(NULL, DPL_WARNING, "a.c", "f", 7, "two");
    CHECK_STR(capture_end(), "warning: a.c:7: f: one\nwarning: a.c:7: f: two\n", "a line each");
    CHECK_INT(last.calls, 0, "the function that was set before gets none");
}

static void traces_go_to_the_contexts_function(void) {
    dpl_ctx_t ctx = {.trace_level = DPL_TRACE_CONN, .trace_func = take_trace};
    char text[400];

    dpl_trace(&ctx, DPL_TRACE_IO, "a.c", "f", 7, "%d", 8);
    CHECK_STR(last.text, "1 a.c f 7 8", "dpl_trace does not look at the level");
    CHECK_INT(last.level, DPL_TRACE_IO, "which is handed on");
    DPL_TRACE(&ctx, DPL_TRACE_IO, "%d", 8);
    CHECK_INT(last.calls, 1, "DPL_TRACE does");
    DPL_TRACE(&ctx, DPL_TRACE_CONN, "%d", 8);
    CHECK_INT(last.calls, 2, "and traces what is wanted");
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    dpl_trace(&ctx, 1, "", "", 7, "%s", text);
    CHECK_INT((long)strlen(last.text), (long)strlen("1   7 ") + 255, "up to 255 bytes");
}

static void without_a_function_traces_go_to_stderr(void) {
    dpl_ctx_t ctx = {.trace_func = NULL};
    char expected[100];

    capture_begin();
    dpl_trace(&ctx, 0xa0, "a.c", "f", 7, "%d", 8);
    dpl_trace(NULL, 1, "a.c", "f", 7, "%d", 9);
    snprintf(expected, sizeof expected, "trace: %d: [a0] a.c:f:7: 8\ntrace: %d: [1] a.c:f:7: 9\n",
             gettid(), gettid());
    CHECK(strcmp(capture_end(), expected) == 0, "with thread and level, also without a context");
}

/* ---- a context that the program writes while others trace -------------------------- */

static int other_calls;

static void take_trace_too(pid_t tid, dpl_trace_t level, const char *file, const char *func,
                           int lineno, char *buf) {
    (void)tid, (void)level, (void)file, (void)func, (void)lineno, (void)buf;
    other_calls++;
}

static volatile int is_over;

static void *set_function(void *ctx) {
    dpl_ctx_t *mine = ctx;

    while (!is_over) {
        __atomic_store_n(&mine->trace_func, take_trace_too, __ATOMIC_RELAXED);
        sched_yield();
        __atomic_store_n(&mine->trace_func, take_trace, __ATOMIC_RELAXED);
        sched_yield();
    }
    return NULL;
}

/* Each function has its turn in time, also where only one thread runs at a time, as under valgrind. */
static void function_may_be_set_while_it_traces(void) {
    dpl_ctx_t ctx = {.trace_func = take_trace};
    double give_up = seconds_now() + patience(20);
    pthread_t setter;
    int i;

    REQUIRE(pthread_create(&setter, NULL, set_function, &ctx) == 0, "a thread sets it");
    for (i = 0; i < 20000 || ((last.calls == 0 || other_calls == 0) && seconds_now() < give_up); i++) {
        dpl_trace(&ctx, DPL_TRACE_IO, "a.c", "f", 7, "%d", 8);
        if (i % 16 == 0)
            sched_yield();
    }
    is_over = 1;
    pthread_join(setter, NULL);
    CHECK_INT(last.calls + other_calls, i, "each trace goes to one of the two functions");
    if (last.calls == 0 || other_calls == 0)
        fprintf(stderr, "# %d calls of one, %d of the other\n", last.calls, other_calls);
    CHECK(last.calls > 0 && other_calls > 0, "and each of them is met");
}

static void errors_of_openssl_are_logged(void) {
    dpl_set_log_func(take_line);
    dpl_ssl_perror(NULL, "a.c", "f", 7, "nothing");
    CHECK_INT(last.calls, 0, "there is none");
    CHECK(!BIO_new_file("/no/such/file", "r"), "two happen");
    dpl_ssl_perror(NULL, "a.c", "f", 7, "BIO_new_file");
    CHECK_INT(last.calls, 2, "a line each");
    CHECK(strncmp(last.text, "error: a.c:7: f: BIO_new_file failed with error:", 48) == 0,
          "they say what was tried");
    CHECK_INT((long)ERR_peek_error(), 0, "and are forgotten");
}

/* ---- dumps ------------------------------------------------------------------------- */

static const char *dump(const char *const texts[], int n, size_t bytes, int binary) {
    struct iovec iov[8];

    for (int i = 0; i < n; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)texts[i], strlen(texts[i])};
    capture_begin();
    dpl_iov_dump(iov, n, bytes, binary);
    return capture_end();
}

static void dumps_are_as_of_old(void) {
    const char *const request[] = {"GET / HTTP/1.1\r\nHost: x\r\n", "\r\n"};
    const char *const zeros[] = {"00000000000000000000000000000000"
                                 "000000000000000000000000000000000000001"};
    const char *const rows[] = {"00000000000000001", "0000000000000000", "0000000000000000"};
    struct iovec iov[2] = {{(void *)(uintptr_t) "ab", 2}, {NULL, 3}};

    CHECK_STR(dump(request, 2, 1000, 0), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "text");
    CHECK_STR(dump(request, 2, 3, 0), "GET\n", "as much as is wanted");
    CHECK_STR(dump(request, 2, 1000, 1),
              "0: len=25\n"
              "00000000  4745 5420 2f20 4854 5450 2f31 2e31 0d0a   GET / HTTP/1.1..\n"
              "00000016  486f 7374 3a20 780d 0a                    Host: x..\n"
              "1: len=2\n"
              "00000000  0d0a                                      ..\n",
              "bytes");
    CHECK_STR(dump(zeros, 1, 1000, 1),
              "0: len=71\n"
              "00000000  3030 3030 3030 3030 3030 3030 3030 3030   0000000000000000\n"
              "*\n"
              "00000064  3030 3030 3030 31                         0000001\n",
              "what repeats is left out");
    CHECK_STR(dump(rows, 3, 1000, 1),
              "0: len=17\n"
              "00000000  3030 3030 3030 3030 3030 3030 3030 3030   0000000000000000\n"
              "00000016  31                                        1\n"
              "1: len=16\n"
              "*\n"
              "2: len=16\n",
              "also what repeats an earlier piece");
    CHECK_STR(dump(rows + 1, 2, 1000, 0), "0000000000000000\n0000000000000000\n",
              "but not the end of one");
    CHECK_INT((long)dpl_iov_size(iov, 2), 5, "the size of a vector");
    CHECK_INT((long)dpl_iov_size(NULL, 2), 0, "and of none");
    capture_begin();
    dpl_iov_dump(NULL, 2, 10, 1);
    dpl_iov_dump(iov, -1, 10, 1);
    dpl_iov_dump(iov, 2, 10, 0);
    CHECK_STR(capture_end(), "ab\n", "what is not there is not written");
}

int main(void) {
    test_begin("log");
    RUN(lines_have_level_place_and_message);
    RUN(long_lines_are_cut);
    RUN(without_a_function_lines_go_to_stderr);
    RUN(traces_go_to_the_contexts_function);
    RUN(without_a_function_traces_go_to_stderr);
    RUN(function_may_be_set_while_it_traces);
    RUN(errors_of_openssl_are_logged);
    RUN(dumps_are_as_of_old);
    return test_end();
}
