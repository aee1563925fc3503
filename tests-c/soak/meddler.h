/* What the program itself does at unexpected times: changes, cancels, forks. */
#ifndef SOAK_MEDDLER_H
#define SOAK_MEDDLER_H

#include <stdbool.h>
#include <stdint.h>

/* One of it. The caller comes again after a while. */
void meddle(void);

/* Takes all changes back; from now on the program is calm, or no longer. */
void be_calm(bool calm);

#endif
