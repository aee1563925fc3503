/* Log and trace lines. */
#include "droplet.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 2048 };

static void to_stderr(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message) {
    (void)ctx;
    (void)level;
    fprintf(stderr, "%s\n", message);
}

static _Atomic(dpl_log_func_t) log_func = to_stderr;

void dpl_set_log_func(dpl_log_func_t func) {
    atomic_store(&log_func, func ? func : to_stderr);
}

static const char *level_name(dpl_log_level_t level) {
    static const char *const names[] = {"DEBUG", "info", "warning", "error"};

    return (unsigned)level <= DPL_ERROR ? names[level] : "?";
}

dpl_status_t dpl_log(dpl_ctx_t *ctx, dpl_log_level_t level, const char *file, const char *func,
                     int line, const char *format, ...) {
    char text[MESSAGE_SIZE];
    char message[MESSAGE_SIZE + 256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(message, sizeof message, "%s: %s:%d: %s: %s", level_name(level), file, line, func,
             text);
    atomic_load (&log_func)(ctx, level, message);
    return DPL_SUCCESS;
}

/* The caller has checked the level, as in the original's macro. */
void dpl_trace(dpl_ctx_t *ctx, unsigned int level, const char *file, const char *func, int line,
               const char *format, ...) {
    char text[MESSAGE_SIZE];
    pid_t tid = (pid_t)syscall(SYS_gettid);
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (ctx && ctx->trace_func)
        ctx->trace_func(tid, level, file, func, line, text);
    else
        fprintf(stderr, "trace: %d: [%x] %s:%s:%d: %s\n", (int)tid, level, file, func, line, text);
}

void dpl_ssl_perror(dpl_ctx_t *ctx, const char *file, const char *func, int line,
                    const char *text) {
    char reason[256];
    unsigned long error;

    while ((error = ERR_get_error()) != 0) {
        ERR_error_string_n(error, reason, sizeof reason);
        dpl_log(ctx, DPL_ERROR, file, func, line, "%s: %s", text, reason);
    }
}
