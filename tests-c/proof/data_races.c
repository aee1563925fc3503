/* Two races, which ThreadSanitizer must report: one of this program's own, and one with the library. */
#include <pthread.h>

#include "support/check.h"
#include "support/client.h"
#include "support/context.h"

enum { ROUNDS = 1000 };

static long unprotected;
static dpl_ctx_t *ctx;

static void *count_without_a_lock(void *unused) {
    for (int i = 0; i < ROUNDS; i++)
        unprotected++;
    return unused;
}

static void race_in_the_program(void) {
    pthread_t other;

    pthread_create(&other, NULL, count_without_a_lock, NULL);
    count_without_a_lock(NULL);
    pthread_join(other, NULL);
    CHECK(unprotected > 0, "two threads have counted");
}

static void *change_the_limit(void *unused) {
    for (int i = 0; i < ROUNDS; i++)
        ctx->n_conn_max = 10 + i % 2;
    return unused;
}

/* The library reads the field of C as an atomic variable; this program writes it as a plain one. */
static void race_with_the_library(void) {
    struct server *server = server_answering(1);
    pthread_t other;

    ctx = context_over_servers(&server, 1, "");
    REQUIRE(ctx, "a context is made");
    pthread_create(&other, NULL, change_the_limit, NULL);
    for (int i = 0; i < 10; i++)
        dpl_conn_terminate(checkout(ctx));
    pthread_join(other, NULL);
    CHECK(ctx->n_conn_max >= 10, "the limit was changed while the library read it");
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("data_races");
    RUN(race_in_the_program);
    RUN(race_with_the_library);
    return test_end();
}
