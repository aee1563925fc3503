#include "results.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *file;

void results_open(const char *path) {
    file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    setvbuf(file, NULL, _IOLBF, 0);
}

static bool is_met(struct comparison measured, struct goal goal) {
    switch (goal.kind) {
    case RATIO_AT_MOST:
        return measured.ratio <= goal.bound;
    case RATIO_AT_LEAST:
        return measured.ratio >= goal.bound;
    default:
        return measured.ours <= goal.bound;
    }
}

void result(const char *id, const char *what, const char *unit, struct comparison measured,
            struct goal goal) {
    static const char *const kinds[] = {"ratio<=", "ratio>=", "value<="};
    const char *verdict = is_met(measured, goal) ? "met" : "NOT MET";

    printf("%-58s %11.5g %11.5g %-6s %6.3f  %s%g %s\n", what, measured.ours, measured.floor, unit,
           measured.ratio, kinds[goal.kind], goal.bound, verdict);
    fflush(stdout);
    fprintf(file, "row\t%s\t%s\t%s\t%.6g\t%.6g\t%.6g\t%s\t%g\n", id, what, unit, measured.ours,
            measured.floor, measured.ratio, kinds[goal.kind], goal.bound);
}

void point(const char *figure, const char *series, double x, double y) {
    fprintf(file, "point\t%s\t%s\t%.6g\t%.6g\n", figure, series, x, y);
}
