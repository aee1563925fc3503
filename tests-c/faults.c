/*
 * Each system call that a scenario makes fails in turn, in each way in which it can, or moves a
 * single byte. What only delays must not be noticed. Otherwise a call may fail, but cleanly: no
 * host is blamed for what this side lacks, nothing leaks, and the next call works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/scenarios.h"
#include "support/shim.h"

enum { NO_PERIOD = 1 << 30 };

enum { TRANSFERS = SEND | RECV | WRITE | WRITEV };

/* Faults that only delay. */
static const struct fault delays[] = {
    {"a transfer of one byte", ONE_BYTE, TRANSFERS},
    {"EINTR", EINTR, TRANSFERS | CONNECT | POLL | CLOSE},
    {"EAGAIN", EAGAIN, SEND | RECV | WRITEV | WRITE},
};

/* Faults for want of something on this machine. */
static const struct fault lacks[] = {
    {"EMFILE", EMFILE, SOCKET | GETADDRINFO | PIPE},
    {"ENFILE", ENFILE, SOCKET | GETADDRINFO | PIPE},
    {"ENOBUFS", ENOBUFS, SOCKET | SETSOCKOPT | GETSOCKOPT | CONNECT | SEND | RECV},
    {"ENOMEM", ENOMEM,
     SOCKET | SETSOCKOPT | GETSOCKOPT | CONNECT | POLL | FCNTL | FSTAT | SEND | RECV | GETADDRINFO},
    {"EADDRNOTAVAIL", EADDRNOTAVAIL, CONNECT},
    {"a thread that cannot be had", EAGAIN, THREAD},
};

/* Faults of the peer, the network or a disk. */
static const struct fault failures[] = {
    {"ECONNRESET", ECONNRESET, CONNECT | SEND | RECV},
    {"ECONNREFUSED", ECONNREFUSED, CONNECT},
    {"ENETUNREACH", ENETUNREACH, CONNECT},
    {"EPIPE", EPIPE, SEND | WRITE | WRITEV},
    {"EIO", EIO, WRITE | WRITEV | FSTAT | CLOSE},
    {"EAI_AGAIN", EAGAIN, GETADDRINFO},
};

/* Permitted ends of a run. */
enum verdict { MUST_SUCCEED, MUST_NOT_BLAME, MAY_BLAME };

/* ---- one run ----------------------------------------------------------------------- */

static void say_nothing(dpl_ctx_t *unused, dpl_log_level_t level, const char *message) {
    (void)unused;
    (void)level;
    if (getenv("SHOW_LOG"))
        fprintf(stderr, "# %s\n", message);
}

static const char *what_is_wrong(enum verdict verdict) {
    if (verdict == MUST_SUCCEED && !scene.outcome.done)
        return "it failed";
    if (scene.outcome.lied)
        return "the bytes are wrong";
    if (scene.outcome.dirty)
        return "it failed and left something behind";
    if (verdict != MAY_BLAME && blacklisted_until(scene.ctx, scene.server) != 0)
        return "the host is blamed";
    dpl_addrlist_unblacklist(scene.ctx->addrlist, "127.0.0.1", server_port(scene.server));
    server_behave(scene.server, ANSWER);
    if (!answered(scene.ctx, ++scene.number))
        return "the next request fails";
    if (scene.ctx->n_conn_fds < 1 || scene.ctx->n_conn_fds > 2)
        return "n_conn_fds is wrong";
    return NULL;
}

/* Returns the number of calls that failed; 0: the scenario makes fewer calls. */
static int run(const struct scenario *scenario, const struct fault *fault, int nth, int period,
               enum verdict verdict, const char **wrong) {
    int descriptors, struck;

    scene.outcome = (struct outcome){0};
    scene.reader_is_spared = verdict == MUST_NOT_BLAME;
    server_behave(scene.server, ANSWER);
    descriptors = open_descriptors();
    scenario->prepare();
    server_behave(scene.server, scenario->behaviour);
    shim_begin(fault, nth, period);
    scenario->act();
    struck = shim_end();
    *wrong = what_is_wrong(verdict);
    dpl_ctx_free(scene.ctx);
    /* Fewer, if the look-up of the scenario before had not ended at the beginning. */
    if (!EVENTUALLY(open_descriptors() <= descriptors) && !*wrong)
        *wrong = "a descriptor leaks";
    return struck;
}

static int total;

/* Valgrind has time for some of the calls. */
static int stride(void) {
    return machine_is_slow() ? 7 : 1;
}

/* Returns the number of the scenario's calls that failed in turn. */
static int check_each(const struct scenario *scenario, const struct fault *fault,
                      enum verdict verdict) {
    const char *wrong = NULL;
    int struck = 0;
    int nth = 0;

    while (!wrong && run(scenario, fault, nth, NO_PERIOD, verdict, &wrong) > 0) {
        struck++;
        nth += stride();
    }
    if (wrong)
        fprintf(stderr, "# %s, %s at call %d: %s\n", scenario->name, fault->name, nth, wrong);
    CHECK(!wrong, "%s, with %s at each call in turn", scenario->name, fault->name);
    return struck;
}

static void check_all(const struct fault *faults, size_t n, enum verdict verdict) {
    for (size_t i = 0; i < n; i++) {
        int struck = 0;

        for (int j = 0; j < SCENARIOS; j++)
            struck += check_each(&scenarios[j], &faults[i], verdict);
        fprintf(stderr, "# %s: %d calls\n", faults[i].name, struck);
        CHECK(struck > 0, "%s is met", faults[i].name);
        total += struck;
    }
}

#define CHECK_ALL(faults, verdict) check_all(faults, sizeof(faults) / sizeof *(faults), verdict)

/* ---- cases ------------------------------------------------------------------------- */

static void begin(void) {
    dpl_set_log_func(say_nothing);
    scene_begin();
}

static void end(void) {
    fprintf(stderr, "# %d faults\n", total);
    scene_end();
}

static void delays_go_unnoticed(void) {
    begin();
    CHECK_ALL(delays, MUST_SUCCEED);
    end();
}

static void lacks_are_nobody_elses_fault(void) {
    begin();
    CHECK_ALL(lacks, MUST_NOT_BLAME);
    end();
}

static void failures_are_clean(void) {
    begin();
    CHECK_ALL(failures, MAY_BLAME);
    end();
}

/* One byte a transfer, or a third of the calls to do again. */
static void constant_delays_go_unnoticed(void) {
    const char *wrong;

    begin();
    for (int i = 0; i < SCENARIOS; i++)
        for (int j = 0; j < (int)(sizeof delays / sizeof *delays); j++) {
            int period = delays[j].error == ONE_BYTE ? 1 : 3; /* two in a row bring it no further */

            total += run(&scenarios[i], &delays[j], 0, period, MUST_SUCCEED, &wrong);
            if (wrong)
                fprintf(stderr, "# %s, %s: %s\n", scenarios[i].name, delays[j].name, wrong);
            CHECK(!wrong, "%s, with %s again and again", scenarios[i].name, delays[j].name);
        }
    end();
}

int main(void) {
    test_begin("faults");
    RUN(delays_go_unnoticed);
    RUN(lacks_are_nobody_elses_fault);
    RUN(failures_are_clean);
    RUN(constant_delays_go_unnoticed);
    return test_end();
}
