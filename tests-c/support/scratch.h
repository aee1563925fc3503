/* A directory for files of this program and the processes it forks, removed at its end. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

const char *scratch_dir(void);

#endif
