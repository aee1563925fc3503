/* The wall clock is set while the program runs. Public fields change; no decision does. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"

enum { HOUR = 3600, FAR = HOUR / 2 };

/* ---- the wall clock of this process, for all its readers --------------------------- */

static atomic_long step, readings;

typedef int read_clock(clockid_t, struct timespec *);

static int real_clock(clockid_t id, struct timespec *now) {
    static read_clock *libc_one;

    if (!libc_one)
        libc_one = (read_clock *)dlsym(RTLD_NEXT, "clock_gettime");
    return libc_one(id, now);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int status = real_clock(id, now);

    if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        readings++;
        now->tv_sec += step;
    }
    return status;
}

time_t time(time_t *seconds) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict unused) {
    struct timespec precise;

    (void)unused;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

static bool is_near(time_t shown, time_t expected) {
    return shown > expected - FAR && shown < expected + FAR;
}

/* ---- decisions --------------------------------------------------------------------- */

static struct {
    struct server *out, *live;
    dpl_ctx_t *ctx;
    time_t began;
} hosts;

static void begin(const char *more) {
    hosts.out = server_answering(1);
    hosts.live = server_answering(2);
    hosts.began = time(NULL);
    hosts.ctx = context_over_servers((struct server *[]){hosts.out, hosts.live}, 2, more);
    REQUIRE(hosts.ctx, "a context is made");
}

static void put_out(int seconds) {
    CHECK_STATUS(
        dpl_addrlist_blacklist(hosts.ctx->addrlist, "127.0.0.1", server_port(hosts.out), seconds),
        DPL_SUCCESS, "a host is out for %d s", seconds);
}

static void end(void) {
    step = 0;
    dpl_ctx_free(hosts.ctx);
    server_stop(hosts.out);
    server_stop(hosts.live);
}

static int answered_by_live(int n) {
    int good = 0;

    for (int i = 0; i < n; i++)
        good += ask(hosts.ctx, i).server == 2;
    return good;
}

/* Setting the wall clock an hour forward or back makes nothing expire. */
static void check_nothing_expires(long by) {
    begin("");
    put_out(100);
    CHECK_INT(answered_by_live(1), 1, "the other answers");
    step = by;
    CHECK_INT(answered_by_live(20), 20, "the clock is set, and the host is still out");
    CHECK_INT(dpl_addrlist_count(hosts.ctx->addrlist), 2, "though in the list");
    CHECK_INT(hosts_available(hosts.ctx), 1, "where C sees one host");
    CHECK_INT(server_accepted(hosts.live), 1, "the idle connection is reused");
    end();
}

static void nothing_expires_when_the_clock_is_put_forward(void) {
    check_nothing_expires(HOUR);
}

static void nothing_expires_when_the_clock_is_put_back(void) {
    check_nothing_expires(-HOUR);
}

static bool asked_both(void) {
    long out = server_requests(hosts.out);
    long live = server_requests(hosts.live);

    for (int i = 0; i < 4; i++)
        ask(hosts.ctx, i);
    return server_requests(hosts.out) > out && server_requests(hosts.live) > live;
}

/* Times of seconds end when they are over, also if the wall clock is put back. */
static void check_all_expires(long by) {
    begin("");
    hosts.ctx->conn_idle_time = 1;
    put_out(1);
    CHECK_INT(answered_by_live(1), 1, "the other answers");
    step = by;
    sleep_ms(1100);
    CHECK(EVENTUALLY(asked_both()), "a second later both hosts are asked");
    CHECK_INT(server_accepted(hosts.live), 2, "the other on a new connection after such a time");
    CHECK_INT(hosts_available(hosts.ctx), 2, "C sees two hosts");
    end();
}

static void all_expires_when_the_clock_is_put_forward(void) {
    check_all_expires(HOUR);
}

static void all_expires_when_the_clock_is_put_back(void) {
    check_all_expires(-HOUR);
}

static void *set_clock_soon(void *by) {
    sleep_ms(300);
    step = *(long *)by;
    return NULL;
}

static void check_deadline(long by) {
    pthread_t setter;
    double begun;
    double took;

    begin("connection_timeout = 1");
    put_out(100);
    server_go_deaf(hosts.live);
    pthread_create(&setter, NULL, set_clock_soon, &by);
    begun = seconds_now();
    CHECK_STATUS(ask(hosts.ctx, 1).status, DPL_FAILURE, "a host that does not answer is a failure");
    took = seconds_now() - begun;
    CHECK(took > 0.9 && in_time(begun, 4), "at the deadline, though the clock was set meanwhile");
    pthread_join(setter, NULL);
    end();
}

static void deadlines_stay_where_they_are(void) {
    check_deadline(HOUR);
    check_deadline(-HOUR);
}

/* ---- what is shown ----------------------------------------------------------------- */

static void check_times_shown(long by) {
    dpl_conn_t *conn;
    dpl_addr_t *addr;
    long before = readings;

    begin("");
    step = by;
    conn = checkout(hosts.ctx);
    REQUIRE(conn, "a connection is made");
    CHECK(readings > before, "somebody has read the wall clock");
    CHECK(is_near(conn->start_time, hosts.began + by), "start_time tells wall time");
    dpl_blacklist_host(hosts.ctx, "127.0.0.1", server_port(hosts.out));
    dpl_addrlist_lock(hosts.ctx->addrlist);
    addr = dpl_addrlist_get_byname_nolock(hosts.ctx->addrlist, "127.0.0.1", server_port(hosts.out));
    CHECK(is_near(addr->blacklist_expire_timestamp, hosts.began + by),
          "blacklist_expire_timestamp too");
    dpl_addrlist_unlock(hosts.ctx->addrlist);
    dpl_conn_release(conn);
    CHECK(is_near(conn->close_time, hosts.began + by), "and close_time");
    end();
}

static void times_shown_are_wall_times(void) {
    check_times_shown(HOUR);
    check_times_shown(-HOUR);
}

int main(void) {
    test_begin("clock");
    RUN(nothing_expires_when_the_clock_is_put_forward);
    RUN(nothing_expires_when_the_clock_is_put_back);
    RUN(all_expires_when_the_clock_is_put_forward);
    RUN(all_expires_when_the_clock_is_put_back);
    RUN(deadlines_stay_where_they_are);
    RUN(times_shown_are_wall_times);
    return test_end();
}
