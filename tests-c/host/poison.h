/*
 * The host's own connection subsystem is poison: a program in which one of its
 * functions runs has not replaced it, and must not pass for one that has.
 */
#ifndef HOST_POISON_H
#define HOST_POISON_H

#include <stdio.h>
#include <stdlib.h>

/* Arguments do not matter to a function that never looks at them. */
#define POISON(name) \
    _Noreturn void name(void); \
    _Noreturn void name(void) { \
        fprintf(stderr, "stand-in's own %s was called\n", #name); \
        abort(); \
    } \
    _Noreturn void name(void)

#endif
