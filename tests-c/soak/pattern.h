/* The bytes of a body, which follow from a token: nobody else's body can be taken for it. */
#ifndef SOAK_PATTERN_H
#define SOAK_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checksum of no bytes. */
#define PATTERN_SUM_OF_NOTHING 0xcbf29ce484222325u

/* The body of a request has another pattern than that of its reply. */
uint64_t pattern_of_request(uint64_t token);

/* Fills in the bytes from this place of the body on. */
void pattern_fill(uint64_t token, size_t offset, void *buffer, size_t size);
bool pattern_matches(uint64_t token, size_t offset, const void *buffer, size_t size);

/* The checksum of all bytes so far, and of these behind them (FNV-1a). */
uint64_t pattern_sum(uint64_t sum, const void *buffer, size_t size);

/* The checksum of the first bytes of a pattern. */
uint64_t pattern_sum_of(uint64_t token, size_t size);

/* A number that follows from a state, which it changes (splitmix64). */
uint64_t random_next(uint64_t *state);

/* Between 0 and below, which is more than 0. */
uint64_t random_below(uint64_t *state, uint64_t below);

#endif
