/*
 * Checks and cases. A program is a list of cases; each runs in a process of its
 * own, so that one that crashes or hangs is reported and the others still run.
 * The lines on stdout (TAP) are the same in every run and way of linking: they have
 * no ports, times or addresses of memory. Unexpected values go to stderr.
 */
#ifndef SUPPORT_CHECK_H
#define SUPPORT_CHECK_H

#include <stdbool.h>

#include "droplet.h"

/* Names the program and checks that the library under test is in use. */
void test_begin(const char *program);

/* Prints the plan; what main() returns. */
int test_end(void);

#define RUN(test_case) test_run(#test_case, test_case)
void test_run(const char *name, void (*test_case)(void));

#define CHECK(condition, ...) check_true((condition), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_INT(actual, expected, ...) \
    check_int((actual), (expected), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_STR(actual, expected, ...) \
    check_str((actual), (expected), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_STATUS(actual, expected, ...) \
    check_status((actual), (expected), __FILE__, __LINE__, __VA_ARGS__)

/* Checks a precondition. If it fails, the case ends. */
#define REQUIRE(condition, ...) require_true((condition), __FILE__, __LINE__, __VA_ARGS__)

/* For what cannot be checked here; prints the reason. */
void check_skip(const char *reason);

#define CHECK_PRINTF __attribute__((format(printf, 4, 5)))
#define CHECK_PRINTF_2 __attribute__((format(printf, 5, 6)))
bool check_true(bool good, const char *file, int line, const char *text, ...) CHECK_PRINTF;
bool check_int(long actual, long expected, const char *file, int line, const char *text,
               ...) CHECK_PRINTF_2;
bool check_str(const char *actual, const char *expected, const char *file, int line,
               const char *text, ...) CHECK_PRINTF_2;
bool check_status(dpl_status_t actual, dpl_status_t expected, const char *file, int line,
                  const char *text, ...) CHECK_PRINTF_2;
void require_true(bool good, const char *file, int line, const char *text, ...) CHECK_PRINTF;

#endif
