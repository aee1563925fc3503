/* Time per operation, ours against a floor, in alternating rounds. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>

/* Does n operations. */
typedef void operation(void *subject, long n);

struct side {
    operation *run;
    void *subject;
};

/* Medians over the rounds: nanoseconds of an operation, and the ratio of each pair of rounds. */
struct comparison {
    double ours;
    double floor;
    double ratio;
};

double now_ns(void);

/* Sorts the values. */
double median(double *values, size_t count);

/* After each round `between` runs, untimed, unless it is NULL. */
struct comparison compare(struct side ours, struct side floor, double round_ns, int rounds,
                          void (*between)(void));

/* Raises the limit on descriptors as far as it goes. */
void allow_many_descriptors(void);

void pin_to_cpu(int cpu);

#endif
