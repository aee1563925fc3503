#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "support/certificate.h"
#include "support/clock.h"
#include "support/load.h"
#include "support/scratch.h"

/* Shared with the processes of the cases. */
static struct tally {
    int checks;
    int failures;
} * tally;

static const char *program_name = "?";
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

/* ---- one check --------------------------------------------------------------------- */

static bool report(bool good, const char *file, int line, const char *text, va_list args) {
    pthread_mutex_lock(&printing);
    printf("%sok %d - ", good ? "" : "not ", ++tally->checks);
    vprintf(text, args);
    if (!good) {
        tally->failures++;
        printf(" at %s:%d", file, line);
    }
    putchar('\n');
    pthread_mutex_unlock(&printing);
    return good;
}

bool check_true(bool good, const char *file, int line, const char *text, ...) {
    va_list args;

    va_start(args, text);
    report(good, file, line, text, args);
    va_end(args);
    return good;
}

bool check_int(long actual, long expected, const char *file, int line, const char *text, ...) {
    va_list args;

    va_start(args, text);
    report(actual == expected, file, line, text, args);
    va_end(args);
    if (actual != expected)
        fprintf(stderr, "# %s:%d: expected %ld, got %ld\n", file, line, expected, actual);
    return actual == expected;
}

bool check_str(const char *actual, const char *expected, const char *file, int line,
               const char *text, ...) {
    bool good = actual && strcmp(actual, expected) == 0;
    va_list args;

    va_start(args, text);
    report(good, file, line, text, args);
    va_end(args);
    if (!good)
        fprintf(stderr, "# %s:%d: expected \"%s\", got \"%s\"\n", file, line, expected,
                actual ? actual : "(NULL)");
    return good;
}

static const char *status_name(dpl_status_t status) {
    static const char *const names[] = {
        "DPL_SUCCESS", "DPL_FAILURE", "DPL_ENOENT", "DPL_EINVAL", "DPL_ETIMEOUT",
        "DPL_ENOMEM",  "DPL_ESYS",    "DPL_EIO",    "DPL_ELIMIT", "DPL_ENAMETOOLONG",
    };
    int i = -(int)status;

    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : "another status";
}

bool check_status(dpl_status_t actual, dpl_status_t expected, const char *file, int line,
                  const char *text, ...) {
    va_list args;

    va_start(args, text);
    report(actual == expected, file, line, text, args);
    va_end(args);
    if (actual != expected)
        fprintf(stderr, "# %s:%d: expected %s, got %s (%d)\n", file, line, status_name(expected),
                status_name(actual), (int)actual);
    return actual == expected;
}

void require_true(bool good, const char *file, int line, const char *text, ...) {
    va_list args;

    if (good)
        return;
    va_start(args, text);
    report(false, file, line, text, args);
    va_end(args);
    exit(EXIT_FAILURE);
}

void check_skip(const char *reason) {
    check_true(true, __FILE__, __LINE__, "# SKIP %s", reason);
}

/* ---- one case ---------------------------------------------------------------------- */

static _Noreturn void run_in_child(void (*test_case)(void), const sigset_t *mask) {
    int failures = tally->failures;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    test_case();
    exit(tally->failures == failures ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Waits for the case; the watchdog kills one that hangs. Returns whether it hung. */
static bool await(pid_t child, int *status) {
    struct timespec patience = {.tv_sec = case_seconds() * (soak_wanted() ? 20 : 1)};
    sigset_t ended;
    bool hung;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    while (sigtimedwait(&ended, NULL, &patience) < 0 && errno == EINTR)
        ;
    hung = waitpid(child, status, WNOHANG) == 0;
    if (hung) {
        kill(child, SIGKILL);
        waitpid(child, status, 0);
    }
    return hung;
}

static void judge(const char *name, bool hung, int status) {
    if (hung)
        CHECK(false, "%s %s hung and was killed", program_name, name);
    else if (WIFSIGNALED(status))
        CHECK(false, "%s %s died of signal %s", program_name, name, sigabbrev_np(WTERMSIG(status)));
    else if (WEXITSTATUS(status) > EXIT_FAILURE) /* as valgrind's verdict does */
        CHECK(false, "%s %s ended with status %d", program_name, name, WEXITSTATUS(status));
}

void test_run(const char *name, void (*test_case)(void)) {
    const char *only = getenv("DROPLET_TEST_CASE");
    sigset_t ended;
    sigset_t before;
    int status = 0;
    bool hung;
    pid_t child;

    if (only && strcmp(only, name) != 0)
        return;
    printf("# %s\n", name);
    fflush(stdout);
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, &before);
    child = fork();
    if (child == 0)
        run_in_child(test_case, &before);
    hung = await(child, &status);
    judge(name, hung, status);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ---- one program ------------------------------------------------------------------- */

void test_begin(const char *program) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was printed before a crash counts */
    program_name = program;
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) {
        perror(program);
        exit(EXIT_FAILURE);
    }
    scratch_dir(); /* made by this process, it outlives those of the cases */
    check_replacement();
    /* Once for all cases, as well as OpenSSL's own beginning, which takes seconds under valgrind. */
    if (tls_wanted())
        authority_file();
}

int test_end(void) {
    printf("1..%d\n", tally->checks);
    return tally->failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
