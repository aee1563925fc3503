/* Defects that can be planted, to see that the run notices them: SOAK_PLANT=NAME. */
#ifndef SOAK_PLANT_H
#define SOAK_PLANT_H

#include <stdbool.h>
#include <stdint.h>

/* "wrong": of some requests another token is expected than the one that was sent. */
uint64_t planted_token(uint64_t token);

/* "descriptor", "memory": each request, or some, leaks one, or 1 kB. */
void planted_leaks(void);

/* "thread", "hang", "deaf_host": a thread that stays, a call that lasts, a host that is not asked. */
void plant_thread(void);
void planted_hang(void);
bool planted_deafness(void);

#endif
