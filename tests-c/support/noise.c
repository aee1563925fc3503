#include "support/noise.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *noise(size_t size) {
    char *bytes = malloc(size);
    uint64_t state = 88172645463325252u;

    for (size_t at = 0; at < size; at += sizeof state) {
        size_t left = size - at;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(bytes + at, &state, left < sizeof state ? left : sizeof state);
    }
    return bytes;
}
