/* Bytes of which no two neighbourhoods look the same. */
#ifndef SUPPORT_NOISE_H
#define SUPPORT_NOISE_H

#include <stddef.h>

/* To be freed. */
char *noise(size_t size);

#endif
