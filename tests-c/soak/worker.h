/* Threads that make requests. */
#ifndef SOAK_WORKER_H
#define SOAK_WORKER_H

#include "soak/attempt.h"

extern struct worker workers[SLOTS];

void workers_start(uint64_t seed);
void workers_stop(void);

#endif
