/* Functions with a variable number of arguments. Rust cannot define them; each formats its text, and passes it to a
 * function in Rust. crates/libdroplet gives them Droplet's names, which only Rust can export. */
#define _GNU_SOURCE /* vasprintf */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_SIZE = 2048, TRACE_SIZE = 256 }; /* log and trace functions of programs may have buffers of these sizes */

int droplet_conn_log_text(void *ctx, int level, const char *file, const char *func, int line,
                          const char *text);
void droplet_conn_trace_text(void *ctx, unsigned level, const char *file, const char *func, int line,
                             char *text);
enum { OUT_OF_MEMORY = 0 }; /* the length of a text that is NULL for want of memory */

int droplet_conn_sbuf_add_text(void *sb, const char *text, size_t length);

#define FORMAT(text, format) \
    do { \
        va_list args; \
        va_start(args, format); \
        if (!(format) || vsnprintf(text, sizeof(text), format, args) < 0) \
            *(text) = '\0'; \
        va_end(args); \
    } while (0)

int droplet_conn_log(void *ctx, int level, const char *file, const char *func, int line,
                     const char *format, ...) {
    char text[LOG_SIZE];

    FORMAT(text, format);
    return droplet_conn_log_text(ctx, level, file, func, line, text);
}

void droplet_conn_trace(void *ctx, unsigned level, const char *file, const char *func, int line,
                        const char *format, ...) {
    char text[TRACE_SIZE];

    FORMAT(text, format);
    droplet_conn_trace_text(ctx, level, file, func, line, text);
}

int droplet_conn_sbuf_add_str_fmt(void *sb, const char *format, ...) {
    char *text = NULL;
    va_list args;
    int length, status;

    va_start(args, format);
    errno = 0;
    length = format ? vasprintf(&text, format, args) : -1;
    va_end(args);
    if (length < 0)
        status = droplet_conn_sbuf_add_text(sb, NULL, format && errno == ENOMEM ? OUT_OF_MEMORY : 1);
    else
        status = droplet_conn_sbuf_add_text(sb, text, (size_t)length);
    if (length >= 0)
        free(text);
    return status;
}
