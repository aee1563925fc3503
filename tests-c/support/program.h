/* Servers that are programs of their own: started, waited for, and ended with the case at the
 * latest. */
#ifndef SUPPORT_PROGRAM_H
#define SUPPORT_PROGRAM_H

#include <stdbool.h>

struct program;

bool program_is_installed(const char *name);

/* A port of 127.0.0.1 that nobody uses, for a program that must be told one. */
int free_port(void);

/* A file in the scratch directory, with this text; its path is valid until the next call. */
const char *scratch_file(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Runs it until it accepts connections at the port; NULL if it does not. The arguments end with
 * NULL. What it prints goes to this program's stderr. */
struct program *program_start(int port, const char *const arguments[]);

/* Ends it with this signal, and waits for its end. */
void program_end(struct program *program, int signal_number);

#endif
