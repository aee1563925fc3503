/* Functions with any number of arguments, which Rust cannot define: each formats its text and hands it on. */
#include <stdarg.h>
#include <stdio.h>

enum { LOG_SIZE = 2048, TRACE_SIZE = 256 }; /* what programs' own functions may count on */

int droplet_conn_log_text(void *ctx, int level, const char *file, const char *func, int line,
                          const char *text);
void droplet_conn_trace_text(void *ctx, unsigned level, const char *file, const char *func, int line,
                             char *text);

#define FORMAT(text, format) \
    do { \
        va_list args; \
        va_start(args, format); \
        if (!(format) || vsnprintf(text, sizeof(text), format, args) < 0) \
            *(text) = '\0'; \
        va_end(args); \
    } while (0)

__attribute__((visibility("hidden")))
int droplet_conn_log(void *ctx, int level, const char *file, const char *func, int line,
                     const char *format, ...) {
    char text[LOG_SIZE];

    FORMAT(text, format);
    return droplet_conn_log_text(ctx, level, file, func, line, text);
}

__attribute__((visibility("hidden")))
void droplet_conn_trace(void *ctx, unsigned level, const char *file, const char *func, int line,
                        const char *format, ...) {
    char text[TRACE_SIZE];

    FORMAT(text, format);
    droplet_conn_trace_text(ctx, level, file, func, line, text);
}
