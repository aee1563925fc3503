/* Bytes that never repeat, so that a piece in the wrong place shows. */
#ifndef SUPPORT_NOISE_H
#define SUPPORT_NOISE_H

#include <stddef.h>

/* To be freed. */
char *noise(size_t size);

#endif
