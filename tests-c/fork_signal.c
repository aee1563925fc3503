/*
 * A signal handler that forks at every instruction of the library in a checkout and a release. The
 * fork does not wait for the thread that it interrupts, and neither do later ones in the child.
 */
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

/* The trap flag of EFLAGS: SIGTRAP after each instruction. */
#define TRAP_FLAG 0x100

/* A fork waits for threads in a critical section, for a second at most. */
static const double too_long = 0.95;

static struct server *server;
static dpl_ctx_t *ctx;

static struct {
    uintptr_t begin, end; /* the library's code */
    volatile bool stops;
    volatile bool is_child;
    volatile int forks, slow, failed;
} trap;

/* Seconds that a fork takes; its child ends at once. */
static double time_of_fork(void) {
    double begin = seconds_now();
    pid_t child = fork();

    if (child == 0)
        _exit(EXIT_SUCCESS);
    begin = seconds_now() - begin;
    waitpid(child, NULL, 0);
    return begin;
}

static void fork_here(greg_t *flags) {
    double begin = seconds_now();
    pid_t child = fork();
    int status = -1;

    if (child == 0) { /* goes on with the interrupted call, without traps */
        alarm((unsigned)patience(20));
        trap.is_child = true;
        *flags &= ~TRAP_FLAG;
        return;
    }
    trap.forks++;
    trap.slow += seconds_now() - begin > too_long;
    trap.failed += waitpid(child, &status, 0) != child || status != 0;
}

static void on_trap(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t place = (uintptr_t)registers[REG_RIP];

    (void)signal;
    (void)info;
    registers[REG_EFL] |= TRAP_FLAG;
    if (trap.stops)
        registers[REG_EFL] &= ~TRAP_FLAG;
    else if (place >= trap.begin && place < trap.end)
        fork_here(&registers[REG_EFL]);
}

/* Finds the code of the object that has dpl_try_connect(). */
static int find_code(struct dl_phdr_info *object, size_t size, void *unused) {
    uintptr_t wanted = (uintptr_t)dpl_try_connect;

    (void)size;
    (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + part->p_vaddr;

        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && wanted >= begin &&
            wanted < begin + part->p_memsz) {
            trap.begin = begin;
            trap.end = begin + part->p_memsz;
            return 1;
        }
    }
    return 0;
}

static void forks_at_every_instruction(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    dpl_req_t *req;
    dpl_conn_t *conn = NULL;

    if (case_seconds() > 60) {
        check_skip("valgrind has no trap flag");
        return;
    }
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx && leave_idle(ctx, 1), "a connection is idle");
    dl_iterate_phdr(find_code, NULL);
    REQUIRE(trap.end > trap.begin, "the library's code is found");
    req = request_new(ctx);
    sigaction(SIGTRAP, &action, NULL);

    raise(SIGTRAP); /* traps from here on */
    dpl_try_connect(ctx, req, &conn);
    if (conn)
        dpl_conn_release(conn);
    trap.stops = true;

    if (trap.is_child)
        _exit(time_of_fork() < too_long ? EXIT_SUCCESS : EXIT_FAILURE);
    CHECK(trap.forks > 100, "forks at more than a hundred places");
    CHECK_INT(trap.slow, 0, "none waits for its own thread");
    CHECK_INT(trap.failed, 0, "each child ends the call, and its own fork does not wait either");
    CHECK(answered(ctx, 1), "the parent goes on");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
    server_stop(server);
}

int main(void) {
    test_begin("fork_signal");
    RUN(forks_at_every_instruction);
    return test_end();
}
