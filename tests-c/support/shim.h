/*
 * A layer between the library and libc: in a program that includes this, the system calls named
 * below pass through it, and one of those that the calling thread makes can be made to fail, or to
 * move fewer bytes than it was asked to. Other threads (servers among them) notice nothing, but a
 * look-up fails also in a thread that it has started.
 */
#ifndef SUPPORT_SHIM_H
#define SUPPORT_SHIM_H

#include <stdbool.h>

enum call {
    SOCKET = 1 << 0,
    SETSOCKOPT = 1 << 1,
    GETSOCKOPT = 1 << 2,
    FCNTL = 1 << 3,
    CONNECT = 1 << 4,
    POLL = 1 << 5,
    SEND = 1 << 6,
    RECV = 1 << 7,
    WRITE = 1 << 8,
    WRITEV = 1 << 9,
    FSTAT = 1 << 10,
    CLOSE = 1 << 11,
    GETADDRINFO = 1 << 12,
    PIPE = 1 << 13,
    THREAD = 1 << 14,
};

enum { ONE_BYTE = -1 }; /* in place of an errno: a transfer of one byte */

struct fault {
    const char *name;
    int error;
    unsigned calls; /* that can end so */
};

/* From now on the nth of the thread's calls that can end so does, counted from 0; with a period,
 * every so many calls after it too. */
void shim_begin(const struct fault *fault, int nth, int period);

/* Neither counts nor fails calls until it goes on. */
void shim_pause(void);
void shim_go_on(void);

/* No more of it. Returns how many calls ended so. */
int shim_end(void);

#endif
