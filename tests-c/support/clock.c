#include "support/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

double seconds_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void sleep_ms(int milliseconds) {
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

void let_look_ups_expire(void) {
    sleep_ms(5200);
}

int case_seconds(void) {
    const char *text = getenv("DROPLET_TEST_SECONDS");
    int seconds = text ? atoi(text) : 0;

    return seconds > 0 ? seconds : 60;
}

bool soak_wanted(void) {
    return getenv("DROPLET_TEST_SOAK") != NULL;
}

bool machine_is_slow(void) {
    return case_seconds() > 60;
}

double patience(double seconds) {
    return machine_is_slow() ? seconds * case_seconds() / 60 : seconds;
}

bool in_time(double since, double seconds) {
    return machine_is_slow() || seconds_now() - since <= seconds;
}

static void ignore(int signal_number) {
    (void)signal_number;
}

static void set_timer(int interval_us) {
    struct timeval interval = {.tv_sec = interval_us / 1000000, .tv_usec = interval_us % 1000000};
    struct itimerval timer = {.it_interval = interval, .it_value = interval};

    setitimer(ITIMER_REAL, &timer, NULL);
}

void storm_begin(int interval_us) {
    struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART */

    sigaction(SIGALRM, &action, NULL);
    /* Valgrind needs long before a system call of many bytes, and must not be interrupted there. */
    set_timer((int)patience(patience(interval_us)));
}

void storm_end(void) {
    set_timer(0);
}

void storm_spare_thread(void) {
    sigset_t alarm_signal;

    sigemptyset(&alarm_signal);
    sigaddset(&alarm_signal, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_signal, NULL);
}
