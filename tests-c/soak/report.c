#include "soak/report.h"

#include <malloc.h>
#include <stdio.h>

#include "soak/attempt.h"
#include "support/clock.h"
#include "support/context.h"

static void print_counts(const char *name, const char *const names[], atomic_long counts[], int n) {
    printf(", \"%s\": {", name);
    for (int i = 0; i < n; i++)
        printf("%s\"%s\": %ld", i ? ", " : "", names[i], (long)counts[i]);
    printf("}");
}

static void print_hosts(enum context context) {
    dplx_host_stats_t stats[HOSTS] = {{.size = sizeof *stats}};
    int n = dplx_host_stats(sites[context].ctx, stats, HOSTS);

    printf(", \"served\": {");
    for (int i = 0; i < sites[context].n_hosts; i++)
        printf("%s\"%s\": %ld", i ? ", " : "", sites[context].hosts[i],
               (long)tally->served[context][i]);
    printf("}, \"out\": [");
    for (int i = 0, out = 0; i < n && i < HOSTS; i++)
        if (stats[i].state != DPLX_HOST_AVAILABLE)
            printf("%s\"%s:%s\"", out++ ? ", " : "", stats[i].host, stats[i].port);
    printf("]");
}

static void print_context(enum context context) {
    dplx_pool_stats_t stats = {.size = sizeof stats};

    dplx_pool_stats(sites[context].ctx, &stats);
    printf("%s{\"idle\": %lu, \"in_use\": %lu, \"connecting\": %lu, \"waiting\": %lu, "
           "\"limit_waits\": %lu",
           context ? ", " : "", stats.idle, stats.in_use, stats.connecting, stats.waiting,
           stats.limit_waits);
    print_hosts(context);
    printf("}");
}

/* Bytes that malloc(3) has given out. */
static size_t bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

void report(const char *phase) {
    printf("{\"phase\": \"%s\", \"calm\": %s", phase, tally->calm ? "true" : "false");
    print_counts("tries", outcome_names, tally->tries, OUTCOMES);
    print_counts("requests", outcome_names, tally->requests, OUTCOMES);
    print_counts("meddled", meddling_names, tally->meddled, MEDDLINGS);
    printf(", \"bytes\": %ld, \"bad_children\": %ld, \"overdue\": %ld, \"most_over\": %.3f, "
           "\"lost\": %.3f",
           (long)tally->bytes, (long)tally->bad_children, (long)tally->overdue, tally->most_over,
           tally->lost);
    printf(", \"malloc\": %zu, \"contexts\": [", bytes_in_use());
    for (int i = 0; i < CONTEXTS && sites[i].ctx; i++)
        print_context((enum context)i);
    /* Last, so that it fits the number of connections as well as may be. */
    printf("], \"descriptors\": %d}\n", open_descriptors());
    fflush(stdout);
}
