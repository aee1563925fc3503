/* Ways to use the library while calls fail (support/shim.h): requests, long writes, files, a
 * context. */
#ifndef SUPPORT_SCENARIOS_H
#define SUPPORT_SCENARIOS_H

#include <stdbool.h>

#include "droplet.h"
#include "support/loopback.h"

struct outcome {
    bool done;  /* every call succeeded */
    bool lied;  /* and yet the bytes were not those that were sent */
    bool dirty; /* a call failed and left something behind */
};

/* The run of a scenario. */
extern struct scene {
    struct server *server, *dead;
    dpl_ctx_t *ctx;        /* made by prepare(); the caller frees it */
    long number;           /* of the last request */
    bool reader_is_spared; /* while a reply is read, no call fails */
    struct outcome outcome;
} scene;

struct scenario {
    const char *name;
    enum behaviour behaviour;
    void (*prepare)(void); /* no call fails yet */
    void (*act)(void);
};

enum { SCENARIOS = 8 };

extern const struct scenario scenarios[SCENARIOS];

/* Starts and stops the servers. */
void scene_begin(void);
void scene_end(void);

#endif
