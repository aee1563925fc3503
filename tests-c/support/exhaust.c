#include "support/exhaust.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/heap.h"

enum { STRIDE_OF_TLS = 37 }; /* a handshake makes thousands of allocations */
enum { WORKERS = 2, SECONDS = 20, ROUNDS = 20 };

/* How a child ends. */
enum end { GOOD, BAD, NOT_REACHED };

/* ---- one run, in a child ----------------------------------------------------------- */

static char complaint[512];

void complain(const char *format, ...) {
    va_list args;

    if (complaint[0])
        return;
    heap_pause();
    va_start(args, format);
    vsnprintf(complaint, sizeof complaint, format, args);
    va_end(args);
    heap_go_on();
}

bool succeeded(int status, const char *call) {
    if (status != DPL_SUCCESS && status != DPL_ENOMEM)
        complain("%s returns %d: %s", call, status, dplx_last_error());
    return status == DPL_SUCCESS;
}

bool failed_for_memory(const char *call) {
    if (!strstr(dplx_last_error(), "emory"))
        complain("%s: its text is \"%s\"", call, dplx_last_error());
    return false;
}

static void call(void (*function)(void)) {
    if (function)
        function();
}

/* Returns how many allocations failed. */
static long round_of(const struct exhausted *scenario, long nth, long more) {
    long failed;
    bool done;

    call(scenario->prepare);
    heap_fail(nth, more);
    done = scenario->act();
    failed = heap_end();
    if (!done && failed == 0)
        complain("it fails with all its memory");
    call(scenario->check);
    if (!scenario->act())
        complain("it fails also when memory is back");
    call(scenario->check);
    call(scenario->finish);
    return failed;
}

/* Something may be kept once, such as a text of OpenSSL's, or a few times: the file of statistics has those of the last
 * contexts. What each round leaves is a leak. */
static enum end run(const struct exhausted *scenario, long nth, long more) {
    long failed = round_of(scenario, nth, more);
    int descriptors = open_descriptors();

    for (int rounds = 1; failed && !complaint[0]; rounds++) {
        long live = heap_live();

        round_of(scenario, nth, more);
        if (!EVENTUALLY(open_descriptors() <= descriptors))
            complain("%d descriptors leak", open_descriptors() - descriptors);
        if (heap_live() <= live)
            break;
        if (rounds == ROUNDS)
            complain("%ld blocks of memory leak", heap_live() - live);
    }
    return complaint[0] ? BAD : failed ? GOOD : NOT_REACHED;
}

static enum end child(const struct exhausted *scenario, long nth, long more) {
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        alarm((unsigned)patience(SECONDS));
        status = run(scenario, nth, more);
        if (status == BAD)
            fprintf(stderr, "# %s: without allocation %ld%s: %s\n", scenario->name, nth,
                    more ? " and all after it" : "", complaint);
        _exit(status == BAD && tls_wanted() ? GOOD : status);
    }
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
        return WEXITSTATUS(status);
    fprintf(stderr, "# %s: without allocation %ld%s: %s\n", scenario->name, nth,
            more ? " and all after it" : "", strsignal(WTERMSIG(status)));
    return BAD;
}

/* ---- all of them ------------------------------------------------------------------- */

/* Of two processes each does every other one. Returns how many children went wrong. */
static int work(const struct exhausted *scenario, long first, long step, long more) {
    int bad = 0;

    for (long nth = first; bad < 20; nth += step) {
        enum end end = child(scenario, nth, more);

        if (end == NOT_REACHED) {
            if (first == 0)
                fprintf(stderr, "# %s%s: %ld allocations\n", scenario->name,
                        more ? ", all from one on" : "", nth);
            break;
        }
        bad += end == BAD;
    }
    return bad;
}

static void check_all(const struct exhausted *scenario, long more, const char *what) {
    long of_short_form = scenario->stride ? scenario->stride : 1;
    long stride = tls_wanted() ? STRIDE_OF_TLS : soak_wanted() ? 1 : of_short_form;
    pid_t workers[WORKERS];
    bool good = true;

    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] == 0)
            _exit(work(scenario, i * stride, WORKERS * stride, more));
    }
    for (int i = 0; i < WORKERS; i++) {
        int status;

        good &= waitpid(workers[i], &status, 0) == workers[i] && status == 0;
    }
    CHECK(good, "%s, without %s", scenario->name, what);
}

/* For a person who looks for a failure: one run in a single child, which a debugger can follow. */
static void show(const struct exhausted *scenario, const char *nth) {
    long more = strchr(nth, '+') ? ALL_AFTER_IT : 0;

    pid_t pid = fork();

    if (pid != 0) {
        waitpid(pid, NULL, 0);
        return;
    }
    for (int rounds = 0; rounds < 3; rounds++) {
        heap_show();
        round_of(scenario, atol(nth), more);
    }
    heap_show_live();
    fprintf(stderr, "# %s\n", complaint);
    _exit(EXIT_SUCCESS);
}

static void exhaust(const struct exhausted *scenario) {
    const char *only = getenv("SCENARIO"), *nth = getenv("ALLOCATION");

    if (only && strcmp(only, scenario->name) != 0)
        return;
    if (only && nth) {
        show(scenario, nth);
        return;
    }
    check_all(scenario, 0, "each of its allocations in turn");
    check_all(scenario, ALL_AFTER_IT, "all from each on");
}

static void say_nothing(dpl_ctx_t *unused, dpl_log_level_t level, const char *message) {
    (void)unused;
    (void)level;
    if (getenv("SHOW_LOG"))
        fprintf(stderr, "# %s\n", message);
}

void exhaust_all(const struct exhausted *scenarios, size_t n) {
    if (!heap_is_ours()) {
        check_skip("valgrind has an allocator of its own");
        return;
    }
    if (tls_wanted() && !soak_wanted()) {
        check_skip("over TLS in the long form only");
        return;
    }
    dpl_set_log_func(say_nothing);
    for (size_t i = 0; i < n; i++)
        exhaust(&scenarios[i]);
}
