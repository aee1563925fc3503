#include "support/child.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void end_child(bool good) {
    if (good)
        execl("/bin/true", "true", NULL);
    _exit(EXIT_FAILURE);
}

bool ended_well(pid_t child) {
    int status = -1;

    return waitpid(child, &status, 0) == child && status == EXIT_SUCCESS;
}
