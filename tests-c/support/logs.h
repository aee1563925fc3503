/* Collects what goes to the program's log function. */
#ifndef SUPPORT_LOGS_H
#define SUPPORT_LOGS_H

#include <stdbool.h>

/* From now on, beginning with none. */
void logs_collect(void);

int logs_count(void);

/* Lines that contain the text. */
int logs_with(const char *text);

#endif
