/*
 * Three HTTP servers, each a process of its own; one context over them; six
 * threads that ask as fast as they can. Server 2 is killed and comes back. What
 * a program sees of it is printed second by second.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/load.h"

enum { SERVERS = 3, THREADS = 6, SECONDS = 9, TRIES = 3, SAMPLE_MS = 2 };
enum { VICTIM = 2, KILL_AFTER = 3, RESTART_AFTER = 6 };

/* ---- the servers ------------------------------------------------------------------- */

static const char *const addresses[SERVERS + 1] = {"", "127.0.0.1", "127.0.0.2", "127.0.0.3"};

static struct site {
    struct server *holder; /* keeps the port free for the server's next life */
    pid_t process;
} sites[SERVERS + 1]; /* from 1 */

/* The victim's second life: forked before there are threads, it waits for its cue. */
static pid_t second_life;
static int cue[2], ready[2];

static void tell(const int ends[2]) {
    if (write(ends[1], "!", 1) != 1)
        perror("pipe");
}

static void await(const int ends[2]) {
    char byte;

    if (read(ends[0], &byte, 1) != 1)
        exit(EXIT_FAILURE);
}

static _Noreturn void serve(int id) {
    int port = atoi(server_port(sites[id].holder));

    server_start((struct server_options){.address = addresses[id], .port = port, .id = id});
    tell(ready);
    for (;;)
        pause();
}

static pid_t fork_server(int id, bool at_once) {
    pid_t process = fork();

    if (process != 0)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!at_once)
        await(cue);
    serve(id);
}

static void start_servers(void) {
    if (pipe(cue) != 0 || pipe(ready) != 0)
        exit(EXIT_FAILURE);
    for (int id = 1; id <= SERVERS; id++)
        sites[id].holder =
            server_start((struct server_options){.address = addresses[id], .refuse = true});
    for (int id = 1; id <= SERVERS; id++)
        sites[id].process = fork_server(id, true);
    second_life = fork_server(VICTIM, false);
    for (int id = 1; id <= SERVERS; id++)
        await(ready);
}

static void kill_server(int id) {
    kill(sites[id].process, SIGKILL);
    waitpid(sites[id].process, NULL, 0);
}

static void restart_victim(void) {
    sites[VICTIM].process = second_life;
    tell(cue);
}

static void stop_servers(void) {
    for (int id = 1; id <= SERVERS; id++) {
        kill_server(id);
        server_stop(sites[id].holder);
    }
}

static dpl_ctx_t *context_over_sites(void) {
    struct server *servers[SERVERS];

    for (int id = 1; id <= SERVERS; id++)
        servers[id - 1] = sites[id].holder;
    return context_over_servers(servers, SERVERS, "blacklist_expiretime = 1");
}

/* ---- the program ------------------------------------------------------------------- */

static dpl_ctx_t *ctx;
static atomic_bool finished;
static atomic_long next_number;

static struct {
    atomic_long answers[SERVERS + 1];
    atomic_long retried, lost, wrong;
    atomic_int refusals; /* logged by the library */
} seen;

static void count_answer(struct answer answer, long number) {
    if (answer.number == number && answer.server >= 1 && answer.server <= SERVERS)
        seen.answers[answer.server]++;
    else
        seen.wrong++;
}

/* A GET may be asked again: it is lost only when that fails as well. */
static void ask_until_answered(long number) {
    for (int try = 1; try <= TRIES; try++) {
        struct answer answer = ask(ctx, number);

        if (answer.status == DPL_SUCCESS) {
            count_answer(answer, number);
            return;
        }
        if (try < TRIES)
            seen.retried++;
    }
    seen.lost++;
}

static void *run_requests(void *unused) {
    while (!finished)
        ask_until_answered(++next_number);
    return unused;
}

static void count_refusals(dpl_ctx_t *context, dpl_log_level_t level, const char *message) {
    (void)context;
    (void)level;
    seen.refusals += strstr(message, "Connection refused") != NULL;
}

/* ---- what the victim's entry in the host list says --------------------------------- */

static enum { IN_USE, KILLED, OUT, RESTARTED, BACK } victim;
static double changed_at; /* when it was killed or restarted */
static char remark[64];

static void remark_how_long_after(const char *what) {
    double later = seconds_now() - changed_at;
    char text[48];

    snprintf(text, sizeof text, later < 1 ? "%s%s %.0f ms later" : "%s%s %.1f s later",
             *remark ? ", " : "server 2 ", what, later < 1 ? later * 1000 : later);
    strcat(remark, text);
}

static void watch_victim(void) {
    bool out = blacklisted_until(ctx, sites[VICTIM].holder) != 0;

    if (victim == KILLED && out) {
        victim = OUT;
        remark_how_long_after("out");
    } else if (victim == RESTARTED && !out && seen.answers[VICTIM] > 0) {
        victim = BACK;
        remark_how_long_after("back");
    }
}

static void begin_second(int second) {
    if (second == KILL_AFTER || second == RESTART_AFTER)
        changed_at = seconds_now();
    if (second == KILL_AFTER) {
        kill_server(VICTIM);
        victim = KILLED;
        strcpy(remark, "2 killed");
    } else if (second == RESTART_AFTER) {
        restart_victim();
        victim = RESTARTED;
        strcpy(remark, "2 started");
    } else if (victim == OUT) {
        strcpy(remark, "server 2 out");
    }
}

/* ---- what is printed --------------------------------------------------------------- */

static struct { long answered, retried, lost, wrong; } total;

/* In groups of three digits. */
static const char *grouped(long n) {
    static char text[32];
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%ld", n);
    char *to = text;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

static void print_head(void) {
    bool bold = isatty(STDOUT_FILENO);

    printf("droplet-conn %s: %d threads ask %d HTTP servers over %s.\n", dplx_version(), THREADS,
           SERVERS, tls_wanted() ? "TLS" : "plain sockets");
    printf("Server %d is killed after %d seconds and started again after %d.\n\n", VICTIM,
           KILL_AFTER, RESTART_AFTER);
    printf("%ssecond  server 1  server 2  server 3  retried  failed%s\n", bold ? "\033[1m" : "",
           bold ? "\033[0m" : "");
}

static void print_second(int second) {
    long retried = atomic_exchange(&seen.retried, 0);
    long lost = atomic_exchange(&seen.lost, 0);
    long wrong = atomic_exchange(&seen.wrong, 0);

    printf("%6d", second);
    for (int id = 1; id <= SERVERS; id++) {
        long answers = atomic_exchange(&seen.answers[id], 0);

        printf("%10s", answers ? grouped(answers) : "-");
        total.answered += answers;
    }
    printf("%9ld%8ld%s%s\n", retried, lost + wrong, *remark ? "  " : "", remark);
    total.retried += retried;
    total.lost += lost;
    total.wrong += wrong;
    *remark = '\0';
}

static void print_total(void) {
    printf("\n%s requests answered, ", grouped(total.answered));
    printf("%ld of them retried, %ld lost, %ld answered wrongly.\n", total.retried, total.lost,
           total.wrong);
    printf("The library logged \"Connection refused\" %d time%s.\n", seen.refusals,
           seen.refusals == 1 ? "" : "s");
}

static void run_seconds(double started_at) {
    for (int second = 0; second < SECONDS; second++) {
        begin_second(second);
        while (seconds_now() < started_at + second + 1) {
            watch_victim();
            sleep_ms(SAMPLE_MS);
        }
        print_second(second + 1);
    }
}

int main(void) {
    pthread_t threads[THREADS];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!replacement_in_use() || !dplx_version) {
        fputs("demo: libdroplet_conn is not in use\n", stderr);
        return EXIT_FAILURE;
    }
    if (tls_wanted())
        authority_file(); /* the servers' processes are to share it */
    start_servers();
    dpl_set_log_func(count_refusals);
    ctx = context_over_sites();
    if (!ctx)
        return EXIT_FAILURE;
    print_head();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run_requests, NULL);
    run_seconds(seconds_now());
    finished = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    total.lost += seen.lost;
    total.wrong += seen.wrong;
    print_total();
    dpl_ctx_free(ctx);
    stop_servers();
    return total.lost || total.wrong || victim != BACK ? EXIT_FAILURE : EXIT_SUCCESS;
}
