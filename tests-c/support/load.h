/* Is the library under test the one that runs? */
#ifndef SUPPORT_LOAD_H
#define SUPPORT_LOAD_H

#include <stdbool.h>

/* Only the replacement has it. */
const char *dplx_version(void) __attribute__((weak));

bool replacement_in_use(void);

/* Two checks; ends the program if another library (the stand-in's poison) is in use. */
void check_replacement(void);

#endif
