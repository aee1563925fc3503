#include "support/logs.h"

#include <string.h>

#include "droplet.h"

enum { LINES = 256, LINE_SIZE = 512 };

static struct {
    pthread_mutex_t lock;
    int count;
    char lines[LINES][LINE_SIZE];
} collected = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void collect(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message) {
    (void)ctx;
    (void)level;
    fprintf(stderr, "# log: %s\n", message);
    pthread_mutex_lock(&collected.lock);
    if (collected.count < LINES)
        strncpy(collected.lines[collected.count], message, LINE_SIZE - 1);
    collected.count++;
    pthread_mutex_unlock(&collected.lock);
}

void logs_collect(void) {
    pthread_mutex_lock(&collected.lock);
    collected.count = 0;
    pthread_mutex_unlock(&collected.lock);
    dpl_set_log_func(collect);
}

int logs_count(void) {
    int count;

    pthread_mutex_lock(&collected.lock);
    count = collected.count;
    pthread_mutex_unlock(&collected.lock);
    return count;
}

int logs_with(const char *text) {
    int count = 0;

    pthread_mutex_lock(&collected.lock);
    for (int i = 0; i < collected.count && i < LINES; i++)
        count += strstr(collected.lines[i], text) != NULL;
    pthread_mutex_unlock(&collected.lock);
    return count;
}
