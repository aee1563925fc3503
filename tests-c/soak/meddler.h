/* Disturbances by the program itself: it changes, cancels and forks at random times. */
#ifndef SOAK_MEDDLER_H
#define SOAK_MEDDLER_H

#include <stdbool.h>
#include <stdint.h>

/* Disturbs once. The caller comes again after a while. */
void meddle(void);

/* Takes all changes back; from now on the program is calm, or no longer. */
void be_calm(bool calm);

#endif
