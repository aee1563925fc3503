/* Results: lines for reading on stdout, and a file of tab-separated values. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "measure.h"

enum goal_kind {
    RATIO_AT_MOST,
    RATIO_AT_LEAST,
    VALUE_AT_MOST,
};

struct goal {
    enum goal_kind kind;
    double bound;
};

/* The file to write; a failure ends the program. */
void results_open(const char *path);

/* One row of the table. `id` never changes; `ours` and `floor` are in `unit`. */
void result(const char *id, const char *what, const char *unit, struct comparison measured,
            struct goal goal);

/* A point of a plot: the series of a figure, where, and how much. */
void point(const char *figure, const char *series, double x, double y);

#endif
