#include "support/program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/scratch.h"

struct program {
    pid_t pid;
};

/* A user's PATH may lack the system's own programs. */
static const char *const directories[] = {"/usr/sbin", "/usr/bin", "/usr/local/sbin",
                                          "/usr/local/bin"};

static const char *path_of(const char *name) {
    static char path[128];

    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        snprintf(path, sizeof path, "%s/%s", directories[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

bool program_is_installed(const char *name) {
    return path_of(name) != NULL;
}

static int socket_at(int port, struct sockaddr_in *address) {
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int free_port(void) {
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int fd = socket_at(0, &address);

    if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("a free port");
        exit(EXIT_FAILURE);
    }
    close(fd);
    return ntohs(address.sin_port);
}

const char *scratch_file(const char *name, const char *format, ...) {
    static char path[256];
    va_list args;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", scratch_dir(), name);
    file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fclose(file);
    return path;
}

/* It ends with the thread that started it, is in the scratch directory, and sees no preloaded
 * library. */
static _Noreturn void become(const char *path, const char *const arguments[]) {
    sigset_t none;
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    unsetenv("LD_PRELOAD");
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    if (chdir(scratch_dir()) == 0)
        execv(path, (char **)(uintptr_t)arguments);
    perror(path);
    _exit(127);
}

static bool accepts(int port) {
    struct sockaddr_in address;
    int fd = socket_at(port, &address);
    bool good = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;

    close(fd);
    return good;
}

static bool has_ended(const struct program *program) {
    siginfo_t unused = {0};

    return waitid(P_PID, (id_t)program->pid, &unused, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           unused.si_pid == program->pid;
}

struct program *program_start(int port, const char *const arguments[]) {
    const char *path = path_of(arguments[0]);
    struct program *program = calloc(1, sizeof *program);

    program->pid = fork();
    if (program->pid == 0)
        become(path, arguments);
    if (EVENTUALLY(accepts(port) || has_ended(program)) && !has_ended(program))
        return program;
    program_end(program, SIGKILL);
    return NULL;
}

void program_end(struct program *program, int signal_number) {
    kill(program->pid, signal_number);
    waitpid(program->pid, NULL, 0);
    free(program);
}
