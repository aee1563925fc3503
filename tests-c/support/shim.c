#include "support/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static _Thread_local struct shim {
    const struct fault *fault; /* NULL: none */
    bool pauses;
    int until_next; /* calls to let through; negative: all of them */
    int period;
    int struck;
} shim;

/* Of the thread that has started this one, if it met faults then. */
static _Thread_local struct shim *of_starter;

void shim_begin(const struct fault *fault, int nth, int period) {
    shim.fault = fault;
    shim.pauses = false;
    shim.until_next = nth;
    shim.period = period;
    shim.struck = 0;
}

void shim_pause(void) {
    shim.pauses = true;
}

void shim_go_on(void) {
    shim.pauses = false;
}

int shim_end(void) {
    shim.fault = NULL;
    return shim.struck;
}

static bool strikes_for(struct shim *who, enum call call) {
    if (!who->fault || who->pauses || !(who->fault->calls & call) || who->until_next < 0)
        return false;
    if (who->until_next-- > 0)
        return false;
    who->until_next = who->period - 1;
    who->struck++;
    errno = who->fault->error;
    return true;
}

/* Must this call fail? Then errno says how. */
static bool strikes(enum call call) {
    return strikes_for(&shim, call);
}

static bool is_short(void) {
    return shim.fault->error == ONE_BYTE;
}

/* The definition that comes after the one here: libc's. */
#define REAL(name) \
    ({ \
        static __typeof__(&name) real; \
        if (!real) \
            real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        real; \
    })

/* ---- calls that do nothing when they fail ------------------------------------------ */

int socket(int domain, int type, int protocol) {
    return strikes(SOCKET) ? -1 : REAL(socket)(domain, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    return strikes(SETSOCKOPT) ? -1 : REAL(setsockopt)(fd, level, name, value, len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
    return strikes(GETSOCKOPT) ? -1 : REAL(getsockopt)(fd, level, name, value, len);
}

int fcntl(int fd, int command, ...) {
    va_list args;
    void *argument;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    return strikes(FCNTL) ? -1 : REAL(fcntl)(fd, command, argument);
}

/* The library makes a socket a blocking one by it, in place of two calls of fcntl(). */
int ioctl(int fd, unsigned long request, ...) {
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    return strikes(FCNTL) ? -1 : REAL(ioctl)(fd, request, argument);
}

int poll(struct pollfd *fds, nfds_t n, int timeout) {
    return strikes(POLL) ? -1 : REAL(poll)(fds, n, timeout);
}

int fstat(int fd, struct stat *status) {
    return strikes(FSTAT) ? -1 : REAL(fstat)(fd, status);
}

int pipe2(int ends[2], int flags) {
    return strikes(PIPE) ? -1 : REAL(pipe2)(ends, flags);
}

/* The library calls it in a thread of its own, for the one that waits. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    if (!strikes_for(of_starter ? of_starter : &shim, GETADDRINFO))
        return REAL(getaddrinfo)(name, service, hints, found);
    return errno == EAGAIN ? EAI_AGAIN : EAI_SYSTEM;
}

struct start {
    void *(*run)(void *);
    void *argument;
    struct shim *starter;
};

static void *start(void *block) {
    struct start what = *(struct start *)block;

    free(block);
    of_starter = what.starter;
    return what.run(what.argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
    struct start *what;
    int error;

    if (!shim.fault)
        return REAL(pthread_create)(thread, attributes, run, argument);
    if (strikes(THREAD))
        return errno;
    what = malloc(sizeof *what);
    *what = (struct start){.run = run, .argument = argument, .starter = &shim};
    error = REAL(pthread_create)(thread, attributes, start, what);
    if (error)
        free(what);
    return error;
}

/* ---- calls that go on -------------------------------------------------------------- */

/* Interrupted, a connect goes on (connect(2)). */
int connect(int fd, const struct sockaddr *address, socklen_t len) {
    if (!strikes(CONNECT))
        return REAL(connect)(fd, address, len);
    if (shim.fault->error == EINTR)
        REAL(connect)(fd, address, len);
    errno = shim.fault->error;
    return -1;
}

/* The descriptor is gone even if close(2) fails. */
int close(int fd) {
    if (!strikes(CLOSE))
        return REAL(close)(fd);
    REAL(close)(fd);
    errno = shim.fault->error;
    return -1;
}

/* ---- transfers --------------------------------------------------------------------- */

/* The first byte of the vector, if there is one. */
static struct iovec first_byte(const struct iovec *iov, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (iov[i].iov_len > 0)
            return (struct iovec){.iov_base = iov[i].iov_base, .iov_len = 1};
    return (struct iovec){0};
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    struct msghdr less = *message;
    struct iovec first;

    if (!strikes(SEND))
        return REAL(sendmsg)(fd, message, flags);
    if (!is_short())
        return -1;
    first = first_byte(message->msg_iov, message->msg_iovlen);
    less.msg_iov = &first;
    less.msg_iovlen = 1;
    return REAL(sendmsg)(fd, &less, flags);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    if (!strikes(SEND))
        return REAL(send)(fd, bytes, size, flags);
    return is_short() ? REAL(send)(fd, bytes, size ? 1 : 0, flags) : -1;
}

ssize_t recv(int fd, void *buffer, size_t size, int flags) {
    if (!strikes(RECV))
        return REAL(recv)(fd, buffer, size, flags);
    return is_short() ? REAL(recv)(fd, buffer, size ? 1 : 0, flags) : -1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (!strikes(WRITE))
        return REAL(write)(fd, bytes, size);
    return is_short() ? REAL(write)(fd, bytes, size ? 1 : 0) : -1;
}

ssize_t writev(int fd, const struct iovec *iov, int n) {
    struct iovec first;

    if (!strikes(WRITEV))
        return REAL(writev)(fd, iov, n);
    if (!is_short())
        return -1;
    first = first_byte(iov, (size_t)n);
    return REAL(writev)(fd, &first, 1);
}

#ifndef SYS_poll
static int milliseconds(const struct timespec *time) {
    return time ? (int)(time->tv_sec * 1000 + time->tv_nsec / 1000000) : -1;
}
#endif

/* The library makes the calls that wait by it, so that they are no cancellation points. */
long syscall(long number, ...) {
    va_list args;
    long arg[6];

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(args, long);
    va_end(args);
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
        return poll((struct pollfd *)arg[0], (nfds_t)arg[1], (int)arg[2]);
#else
    case SYS_ppoll:
        return poll((struct pollfd *)arg[0], (nfds_t)arg[1], milliseconds((struct timespec *)arg[2]));
#endif
    case SYS_sendmsg:
        return sendmsg((int)arg[0], (const struct msghdr *)arg[1], (int)arg[2]);
    case SYS_sendto:
        return send((int)arg[0], (const void *)arg[1], (size_t)arg[2], (int)arg[3]);
    case SYS_recvfrom:
        return recv((int)arg[0], (void *)arg[1], (size_t)arg[2], (int)arg[3]);
    default:
        return REAL(syscall)(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    }
}
