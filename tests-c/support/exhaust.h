/*
 * Runs a scenario again and again, in a process of its own each time, with one of its allocations failing: the first,
 * the second, and so on until it makes no more (support/heap.h). Then the same with all allocations after it failing too.
 *
 * Whatever fails, the scenario ends in time and without a crash, says only what its functions may say then, succeeds
 * when it is done once more with all memory, and leaves neither a descriptor nor a block of memory.
 *
 * Over TLS only crashes and hangs count, in the long form only; the rest is printed. Without memory OpenSSL does not always
 * say that this was the reason, so that the host may be blamed; it may keep a good certificate as a bad one, or lose a
 * reference.
 */
#ifndef SUPPORT_EXHAUST_H
#define SUPPORT_EXHAUST_H

#include <stdbool.h>
#include <stddef.h>

struct exhausted {
    const char *name;
    void (*prepare)(void); /* with all memory; may be NULL */
    bool (*act)(void);     /* without some of it. Was all done? */
    void (*check)(void);   /* afterwards, with all memory; may be NULL */
    void (*finish)(void);  /* gives everything back; may be NULL */
    int stride;            /* of the short form: which part of the allocations fails; 0: each does */
};

/* Says what must not be. To be called by the functions of a scenario. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Complains about a status that is neither success nor of want of memory. Returns whether it is success. */
bool succeeded(int status, const char *call);

/* Complains about a call whose last error is not want of memory. Returns false. */
bool failed_for_memory(const char *call);

/* Nothing is logged, unless SHOW_LOG is in the environment. */
void exhaust_all(const struct exhausted *scenarios, size_t n);

#endif
