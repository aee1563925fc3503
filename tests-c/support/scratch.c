#include "support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static pid_t owner;

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where) {
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_directory(void) {
    if (getpid() == owner)
        nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_dir(void) {
    if (owner)
        return directory;
    strcpy(directory, "/tmp/droplet-test-XXXXXX");
    if (!mkdtemp(directory)) {
        perror(directory);
        exit(EXIT_FAILURE);
    }
    owner = getpid();
    atexit(remove_directory);
    return directory;
}
