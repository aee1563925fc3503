#include "soak/plant.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soak/tally.h"
#include "support/clock.h"

static atomic_long requests;
static void *_Atomic leaked; /* so that the compiler does not spare it */

static bool is_planted(const char *name) {
    const char *planted = getenv("SOAK_PLANT");

    return planted && strcmp(planted, name) == 0;
}

uint64_t planted_token(uint64_t token) {
    return is_planted("wrong") && requests % 500 == 499 ? token + 1 : token;
}

void planted_leaks(void) {
    long number = ++requests;

    if (is_planted("descriptor") && number % 100 == 0 && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
        abort();
    if (is_planted("memory"))
        leaked = memset(malloc(1024), 1, 1024);
}

static void *stay(void *unused) {
    pause();
    return unused;
}

void plant_thread(void) {
    pthread_t thread;

    if (is_planted("thread"))
        pthread_create(&thread, NULL, stay, NULL);
}

void planted_hang(void) {
    if (!is_planted("hang") || requests < 500)
        return;
    requests = 0;
    call_begins(MEDDLER, "planted", 0);
    sleep_ms(8000);
    call_ends(MEDDLER);
}

bool planted_deafness(void) {
    return is_planted("deaf_host");
}
