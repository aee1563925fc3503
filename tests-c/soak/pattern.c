#include "soak/pattern.h"

#include <string.h>

static uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t random_next(uint64_t *state) {
    return mixed(*state += 0x9e3779b97f4a7c15u);
}

uint64_t random_below(uint64_t *state, uint64_t below) {
    return random_next(state) % below;
}

uint64_t pattern_of_request(uint64_t token) {
    return mixed(~token);
}

/* Eight bytes of the pattern. */
static uint64_t word(uint64_t token, size_t number) {
    return mixed(token + number * 0x9e3779b97f4a7c15u);
}

void pattern_fill(uint64_t token, size_t offset, void *buffer, size_t size) {
    unsigned char *to = buffer;

    for (size_t i = 0; i < size;) {
        size_t within = (offset + i) % 8;
        uint64_t bytes = word(token, (offset + i) / 8) >> (8 * within);
        size_t n = 8 - within < size - i ? 8 - within : size - i;

        for (size_t k = 0; k < n; k++)
            to[i + k] = (unsigned char)(bytes >> (8 * k));
        i += n;
    }
}

bool pattern_matches(uint64_t token, size_t offset, const void *buffer, size_t size) {
    const unsigned char *from = buffer;
    unsigned char expected[1024];

    for (size_t i = 0; i < size;) {
        size_t n = sizeof expected < size - i ? sizeof expected : size - i;

        pattern_fill(token, offset + i, expected, n);
        if (memcmp(expected, from + i, n) != 0)
            return false;
        i += n;
    }
    return true;
}

uint64_t pattern_sum(uint64_t sum, const void *buffer, size_t size) {
    const unsigned char *from = buffer;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ from[i]) * 0x100000001b3u;
    return sum;
}

uint64_t pattern_sum_of(uint64_t token, size_t size) {
    uint64_t sum = PATTERN_SUM_OF_NOTHING;
    unsigned char buffer[4096];

    for (size_t i = 0; i < size;) {
        size_t n = sizeof buffer < size - i ? sizeof buffer : size - i;

        pattern_fill(token, i, buffer, n);
        sum = pattern_sum(sum, buffer, n);
        i += n;
    }
    return sum;
}
