#include "support/heap.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own, under names that nobody replaces. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static struct {
    atomic_bool fails;
    atomic_long until, more; /* allocations to let through, and to fail after the first that fails */
    atomic_long failed, live;
    atomic_bool is_shown;
} heap;

static _Thread_local int pauses;

void heap_fail(long nth, long more) {
    heap.until = nth;
    heap.more = more;
    heap.failed = 0;
    heap.fails = true;
}

long heap_end(void) {
    heap.fails = false;
    return heap.failed;
}

void heap_pause(void) {
    pauses++;
}

void heap_go_on(void) {
    pauses--;
}

long heap_live(void) {
    return heap.live;
}

bool heap_is_ours(void) {
    long before = heap.live;
    void *volatile block = malloc(1);
    bool good = heap.live == before + 1;

    free(block);
    return good;
}

/* ---- where they are made ----------------------------------------------------------- */

enum { SHOWN = 1 << 15, DEPTH = 24 };

static struct shown {
    void *block;
    int n;
    void *frames[DEPTH];
} shown[SHOWN];

static void say_where(const char *what, void *const frames[], int n) {
    pauses++;
    fprintf(stderr, "# %s\n", what);
    backtrace_symbols_fd((void **)(uintptr_t)frames, n, STDERR_FILENO);
    pauses--;
}

static struct shown *find(const void *block) {
    for (int i = 0; i < SHOWN; i++)
        if (shown[i].block == block)
            return &shown[i];
    return NULL;
}

static void note(void *block) {
    struct shown *free_one = find(NULL);

    if (!free_one)
        return;
    free_one->n = backtrace(free_one->frames, DEPTH);
    free_one->block = block;
}

static void forget(const void *block) {
    struct shown *noted = find(block);

    if (noted)
        *noted = (struct shown){0};
}

void heap_show(void) {
    memset(shown, 0, sizeof shown);
    heap.is_shown = backtrace((void *[1]){NULL}, 1) > 0; /* the first time it allocates */
}

void heap_show_live(void) {
    for (int i = 0; i < SHOWN; i++)
        if (shown[i].block)
            say_where("in use:", shown[i].frames, shown[i].n);
}

/* ---- the functions ------------------------------------------------------------------ */

static bool strikes(void) {
    void *frames[DEPTH];

    if (!heap.fails || pauses || heap.until-- > 0)
        return false;
    if (heap.failed++ > heap.more) {
        heap.failed--;
        return false;
    }
    if (heap.is_shown)
        say_where("fails:", frames, backtrace(frames, DEPTH));
    errno = ENOMEM;
    return true;
}

/* Counts a block, if it is one. */
static void *counted(void *block) {
    heap.live += block != NULL;
    if (heap.is_shown && block && !pauses) {
        pauses++;
        note(block);
        pauses--;
    }
    return block;
}

void *malloc(size_t size) {
    return strikes() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size) {
    return strikes() ? NULL : counted(__libc_calloc(n, size));
}

void free(void *block) {
    heap.live -= block != NULL;
    if (heap.is_shown && block)
        forget(block);
    __libc_free(block);
}

void *realloc(void *block, size_t size) {
    void *grown;

    if (!block)
        return malloc(size);
    if (strikes())
        return NULL;
    grown = __libc_realloc(block, size);
    if (grown || size == 0) { /* with a size of 0 it is freed */
        heap.live--;
        if (heap.is_shown)
            forget(block);
        counted(grown);
    }
    return grown;
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size) {
    return strikes() ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);

    if (!made)
        return ENOMEM;
    *block = made;
    return 0;
}

/* glibc's resolver may crash when memory is out, or find that a known name is unknown: nss_database_check_reload_and_get()
 * of 2.36 follows NULL. That is not for a client to mend, so a look-up counts as one allocation. Names below localhost
 * lead where it does (RFC 6761, section 6.3). */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    static __typeof__(&getaddrinfo) real;
    const char *below = name ? strstr(name, ".localhost") : NULL;
    int outcome;

    if (strikes())
        return EAI_MEMORY;
    heap_pause();
    if (!real)
        real = (__typeof__(&getaddrinfo))dlsym(RTLD_NEXT, "getaddrinfo");
    outcome = real(below ? below + 1 : name, service, hints, found);
    heap_go_on();
    return outcome;
}
