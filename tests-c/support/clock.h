/* Time, for tests: whole waits whatever signals arrive. */
#ifndef SUPPORT_CLOCK_H
#define SUPPORT_CLOCK_H

#include <stdbool.h>

/* Monotonic seconds. */
double seconds_now(void);

void sleep_ms(int milliseconds);

/* A name is looked up at most once in 5 s. */
void let_look_ups_expire(void);

/* Is this valgrind, or another slow machine (DROPLET_TEST_SECONDS above 60)? */
bool machine_is_slow(void);

/* A timeout for what a slow machine does in longer. */
double patience(double seconds);

/* Returns whether at most so many seconds have passed since then. Always true on a slow machine. */
bool in_time(double since, double seconds);

/* Are the long forms of tests wanted? (DROPLET_TEST_SOAK=1) */
bool soak_wanted(void);

/* Seconds after which the watchdog ends a case: DROPLET_TEST_SECONDS, 60 without. */
int case_seconds(void);

/* Waits until the condition holds, for 10 s at most (or patience). Its value is whether it does. */
#define EVENTUALLY(condition) \
    ({ \
        double give_up = seconds_now() + patience(10); \
        bool is_met; \
        while (!(is_met = (condition)) && seconds_now() < give_up) \
            sleep_ms(5); \
        is_met; \
    })

/* Signals that arrive every so many microseconds and restart no system call. */
void storm_begin(int interval_us);
void storm_end(void);

/* Keeps the calling thread out of the storm, and those it makes from now on. */
void storm_spare_thread(void);

#endif
