/* Children that a test forks. */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* Ends a child. It becomes another program: a leak checker would report what belongs to threads of
 * its parent, which it does not have. */
_Noreturn void end_child(bool good);

/* Waits for the end of a child. Returns whether it ended with success. */
bool ended_well(pid_t child);

#endif
