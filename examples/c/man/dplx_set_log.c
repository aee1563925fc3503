#define _POSIX_C_SOURCE 200809L /* strdup(), also with -std=c11 */
#include <droplet_conn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_to(void *user, dpl_ctx_t *ctx, int level, const char *message) {
    (void)ctx;
    printf("%s: %s: %s\n", (const char *)user, level == 3 ? "error" : "warning", message);
}

int main(void) {
    dplx_set_log_owned(log_to, strdup("program"), free);
    dpl_conn_release((dpl_conn_t *)"no connection"); /* is logged and left alone */
    dplx_set_log(NULL, NULL);                        /* frees the text */
    return 0;
}
