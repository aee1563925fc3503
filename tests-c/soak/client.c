/*
 * Eight threads make requests of two contexts, plain and over TLS, and check each reply, while this
 * program and its hosts do all that may go wrong. Run by run.py, which tells it on stdin when to be
 * calm and when to end, and reads a line of JSON about it from stdout every second.
 *
 * Arguments: SEED PLAIN-HOSTS TLS-HOSTS; lists of NAME:PORT with semicolons.
 */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "soak/meddler.h"
#include "soak/pattern.h"
#include "soak/plant.h"
#include "soak/report.h"
#include "soak/worker.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/load.h"

static atomic_bool finished;
static uint64_t seed;

static void make_site(enum context context, const char *list) {
    struct site *site = &sites[context];
    char profile[1024], hosts[sizeof site->list];

    snprintf(site->list, sizeof site->list, "%s", list);
    snprintf(profile, sizeof profile,
             "use_https = %s\nssl_ca_list = \"%s\"\nhost = \"%s\"\nconnection_timeout = %d\n"
             "read_timeout = %d\nwrite_timeout = %d\nblacklist_expiretime = %d\npricing_dir = \"\"\n",
             context == TLS ? "true" : "false", getenv("SOAK_AUTHORITY"), list, CONNECT_S, READ_S,
             WRITE_S, OUT_S);
    site->ctx = context_from_text(profile);
    if (!site->ctx)
        exit(EXIT_FAILURE);
    strcpy(hosts, list);
    for (char *at = strtok(hosts, ";"); at && site->n_hosts < HOSTS; at = strtok(NULL, ";"))
        snprintf(site->hosts[site->n_hosts++], sizeof *site->hosts, "%s", at);
}

static void *meddle_on(void *unused) {
    (void)unused;
    while (!finished) {
        if (!tally->calm)
            meddle();
        sleep_ms((int)random_below(&workers[MEDDLER].random, 250));
    }
    return NULL;
}

enum { BE_CALM = 'c', BE_WILD = 'w', STOP = 's' };

/* Obeys what stands on stdin until there is nothing more, and reports meanwhile. */
static void report_until_stop(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    double next = seconds_now();
    char command;

    for (;;) {
        double now = seconds_now();
        ssize_t n = 0;

        if (now >= next) {
            call_check();
            report("running");
            next += 1;
        } else if (poll(&input, 1, (int)((next - now) * 1000) + 1) > 0) {
            n = read(STDIN_FILENO, &command, 1);
            if (n <= 0 || command == STOP)
                return;
            if (command == BE_CALM || command == BE_WILD)
                be_calm(command == BE_CALM);
        }
    }
}

/* In the end nothing is left. */
static void report_end(int descriptors_before) {
    malloc_trim(0);
    report("ended");
    if (open_descriptors() != descriptors_before)
        fprintf(stderr, "descriptors: %d at first, %d in the end\n", descriptors_before,
                open_descriptors());
}

/* Failures are wanted here, and logged as such, except in a calm. These messages are not. */
static void take_message(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message) {
    bool is_bad = strstr(message, "bug in droplet-conn") || strstr(message, "is not in use") ||
                  strstr(message, "still in use") || strstr(message, "freed before");

    (void)ctx;
    (void)level;
    if (is_bad || tally->calm)
        fprintf(stderr, "%s: %s\n", is_bad ? "bad message" : "log", message);
}

int main(int argc, char **argv) {
    pthread_t meddler;
    int descriptors;

    if (argc != 4 || !replacement_in_use()) {
        fprintf(stderr, "usage: %s SEED PLAIN-HOSTS TLS-HOSTS, with the library preloaded\n", argv[0]);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    seed = strtoul(argv[1], NULL, 10);
    /* So that malloc(3) itself keeps little, and a small leak shows. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    tally_new();
    dpl_init();
    descriptors = open_descriptors();
    make_site(PLAIN, argv[2]);
    make_site(TLS, argv[3]);
    dpl_set_log_func(take_message);
    workers_start(seed);
    plant_thread();
    pthread_create(&meddler, NULL, meddle_on, NULL);
    report_until_stop();
    finished = true;
    pthread_join(meddler, NULL);
    workers_stop();
    for (int i = 0; i < CONTEXTS; i++) {
        dpl_ctx_free(sites[i].ctx);
        sites[i].ctx = NULL;
    }
    report_end(descriptors);
    return open_descriptors() == descriptors ? 0 : 1;
}
