#include "measure.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_ROUNDS = 2000 };

double now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double time_of(struct side side, long n) {
    double start = now_ns();

    side.run(side.subject, n);
    return (now_ns() - start) / (double)n;
}

/* Number of operations that fill a round; the best of several, so that a preemption does not decide. */
static long fill(struct side side, double round_ns) {
    double best = 1e18;

    for (int i = 0; i < 9; i++) {
        double ns = time_of(side, i < 3 ? 1 : 8);

        best = ns < best ? ns : best;
    }
    return best > round_ns ? 1 : (long)(round_ns / best);
}

struct comparison compare(struct side ours, struct side floor, double round_ns, int rounds,
                          void (*between)(void)) {
    static double times[2][MOST_ROUNDS];
    static double ratios[MOST_ROUNDS];
    const struct side sides[2] = {ours, floor};
    const long n[2] = {fill(ours, round_ns), fill(floor, round_ns)};

    rounds = rounds < MOST_ROUNDS ? rounds : MOST_ROUNDS;
    for (int round = 0; round < rounds; round++) {
        for (int turn = 0; turn < 2; turn++) {
            int side = (round + turn) % 2;

            times[side][round] = time_of(sides[side], n[side]);
            if (between)
                between();
        }
        ratios[round] = times[0][round] / times[1][round];
    }
    return (struct comparison){
        .ours = median(times[0], (size_t)rounds),
        .floor = median(times[1], (size_t)rounds),
        .ratio = median(ratios, (size_t)rounds),
    };
}

void allow_many_descriptors(void) {
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void pin_to_cpu(int cpu) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}
