/*
 * Servers on threads of this process, on loopback addresses, that misbehave on
 * cue and count what happens to them. They speak TLS where the tests run over it.
 */
#ifndef SUPPORT_LOOPBACK_H
#define SUPPORT_LOOPBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Behaviour of a server towards connections; may be changed while it runs. */
enum behaviour {
    ANSWER,          /* each request, with the server's id and the request's number */
    ANSWER_AND_MORE, /* each reply is followed by bytes that nobody asked for */
    ANSWER_TWICE,    /* each request, with two replies */
    ANSWER_TOO_LONG, /* each reply has more body than it says */
    ANSWER_AT_LENGTH, /* each request, with a head of 60 kB and a body of AT_LENGTH bytes */
    ANSWER_500,      /* each request, with an error of the server's */
    ANSWER_HALF,     /* the beginning of a reply, then a reset */
    REFUSE_BODY,     /* the head of a request with a 413, then a reset, its body unread */
    HANG_UP,         /* reads the request and closes instead of answering */
    RESET_ON_ACCEPT,
    SILENT,  /* neither reads nor writes, nor shakes hands over TLS */
    DISCARD, /* reads and counts, answers nothing */
    DRAIN,   /* as DISCARD, but slowly */
    FIB,     /* most requests are answered, some as by ANSWER_TWICE or ANSWER_TOO_LONG */
    LIE,     /* as FIB, and some as by ANSWER_500, ANSWER_HALF, HANG_UP, or with a late 408 */
};

enum { AT_LENGTH = 70000 };

/* Outcome of a request. */
enum deed { NOT_SEEN, SERVED, ILL_SERVED };

struct server_options {
    const char *address; /* NULL: 127.0.0.1 */
    int port;            /* 0: any that is free */
    int id;              /* goes into its replies */
    enum behaviour behaviour;
    bool refuse;                 /* begin as if killed: the port is held, but refuses */
    int requests_per_connection; /* closes after so many; 0: never */
    int busy_every;              /* answers every so manieth request with a 503; 0: none */
    int idle_ms;                 /* closes after so long without a request; 0: never */
    bool notices_late;           /* but only when the next request comes, which it does not answer */
    const char *keep_alive;      /* value of the field Keep-Alive in its replies; NULL: none */
    int think_ms;                /* waits before each reply */
    int drain_bytes;             /* DRAIN: so many at a time */
    int drain_pause_ms;          /*        and then this pause */
    int receive_buffer;          /* SO_RCVBUF; 0: the system's */
    _Atomic char *deeds;         /* by the number of the request, an enum deed; NULL: not wanted */
    enum { TLS_IF_WANTED, TLS_ALWAYS, TLS_NEVER } tls;
    const char *tls_names; /* subjectAltName of its certificate; NULL: loopback's */
};

struct server;

struct server *server_start(struct server_options options);
void server_stop(struct server *server);

/* An HTTP server with this id on 127.0.0.1. */
struct server *server_answering(int id);

void server_behave(struct server *server, enum behaviour behaviour);

/* "127.0.0.1:PORT", "[::1]:PORT"; valid as long as the server. */
const char *server_name(const struct server *server);
const char *server_port(const struct server *server);

/* As a kill of its process would: connections closed, port refusing. Back with restart. */
void server_kill(struct server *server);
void server_restart(struct server *server);

/* As a host behind a dead link: connects to its port get no answer. Back with restart. */
void server_go_deaf(struct server *server);

/* As a process that hangs and whose listener is gone: connections stay open and silent, new ones are refused.
 * Back with restart, and another behaviour. */
void server_hang(struct server *server);

/* To all its connections; these return when it is done. */
void server_close_connections(struct server *server);
void server_reset_connections(struct server *server);
void server_send_unasked(struct server *server);

/* When connections suffer from more than their own request: a kill, a reset, something unasked. If
 * as many have begun by the end of a time as were over at its beginning, there was none in it. */
long server_troubles_begun(struct server *server);
long server_troubles_over(struct server *server);

long server_accepted(struct server *server); /* connections, since the start */
long server_open(struct server *server);     /* connections, now */
long server_requests(struct server *server); /* read to their end */
long server_bytes(struct server *server);    /* read */

/* Of the bytes that were read to be discarded, in their order. */
uint64_t server_digest(struct server *server);
#define DIGEST_OF_NOTHING UINT64_C(14695981039346656037)
uint64_t digest_more(uint64_t digest, const char *bytes, size_t len);

#endif
