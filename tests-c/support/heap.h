/*
 * malloc() and its like, for the whole process: in a program that includes this, every allocation of every thread and
 * library is counted, and can be made to fail.
 */
#ifndef SUPPORT_HEAP_H
#define SUPPORT_HEAP_H

#include <stdbool.h>

enum { ALL_AFTER_IT = 1 << 30 };

/* From now on the nth allocation fails, counted from 0, and so do `more` after it. */
void heap_fail(long nth, long more);

/* The calling thread's allocations are neither counted nor do they fail, until it goes on. */
void heap_pause(void);
void heap_go_on(void);

/* All memory is back. Returns how many allocations failed. */
long heap_end(void);

/* Blocks that are in use. */
long heap_live(void);

/* For a person who looks for a failure: from now on it is said on stderr where the failed allocations are made, and
 * noted where others are. */
void heap_show(void);

/* Says where the blocks were allocated that have been noted since and are still in use. */
void heap_show_live(void);

/* False under valgrind, which has an allocator of its own. */
bool heap_is_ours(void);

#endif
