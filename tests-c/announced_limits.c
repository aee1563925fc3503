/* Limits of connections that the server announces in a reply: they hold, and wrong ones harm nobody. */
#include "support/ends.h"
#include "support/dplx.h"

static dplx_host_stats_t host_stats(struct ends *ends) {
    dplx_host_stats_t stats = {.size = sizeof stats};

    REQUIRE(dplx_host_stats(ends->ctx, &stats, 1) == 1, "the host has statistics");
    return stats;
}

/* A request, and a reply with this field. Returns whether its connection was new. */
static bool exchange(struct ends *ends, const char *keep_alive) {
    bool is_new = request(ends);
    struct reply reply;
    char text[200];

    snprintf(text, sizeof text, OK "Keep-Alive: %s\r\nContent-Length: 5\r\n\r\nhello", keep_alive);
    say(ends, text);
    reply = receive(ends, 1);
    CHECK_STR(reply.data, "hello", "with \"Keep-Alive: %s\" there is a reply", keep_alive);
    forget(&reply);
    dpl_conn_release(ends->conn);
    return is_new;
}

static void check_limits(bool tls) {
    struct ends ends = begin(tls, "");

    exchange(&ends, "timeout=5, max=100");
    CHECK_INT((long)host_stats(&ends).idle_limit_ms / 100, 44, "idle connections are used a little shorter");
    CHECK_INT((long)host_stats(&ends).use_limit, 101, "and for a hundred requests more");
    CHECK_INT(exchange(&ends, "timeout=5, max=99"), 0, "the connection is used again");
    CHECK_INT((long)host_stats(&ends).use_limit, 101, "for one request less now");
    CHECK_INT(exchange(&ends, "timeout=1, max=0"), 0, "and once more");
    CHECK_INT(ends.ctx->n_conn_fds, 0, "without any left, it is closed");
    end(&ends);
}

static void announced_limits_hold(void) {
    check_limits(false);
    check_limits(true);
}

static void idle_connection_is_given_up_in_time(void) {
    struct ends ends = begin(false, "");

    exchange(&ends, "timeout=1");
    sleep_ms(950);
    CHECK_INT(exchange(&ends, "timeout=1"), 1, "idle for nearly as long as announced, it is not used");
    end(&ends);
}

static void longer_limits_change_nothing(void) {
    struct ends ends = begin(false, "");

    exchange(&ends, "timeout=99999999999999999999, max=99999999999999999999");
    CHECK_INT(exchange(&ends, "timeout=4294967295, max=4294967295"), 0, "the connection is used again");
    ends.ctx->conn_idle_time = 0;
    CHECK_INT(exchange(&ends, "timeout=60"), 1, "the limit of the context holds");
    end(&ends);
}

static void wrong_limits_harm_nobody(void) {
    static const char *const lies[] = {"timeout=0", "timeout=0, max=0", "max=0"};
    static const char *const nonsense[] = {"timeout=-1", "max=-1", "timeout=", "5", ",;=,"};

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct ends ends = begin(false, "");

        for (int j = 0; j < 3; j++)
            CHECK_INT(exchange(&ends, lies[i]), 1, "with \"%s\" each connection serves once", lies[i]);
        CHECK_INT(ends.ctx->n_conn_fds, 0, "and is closed at once");
        CHECK_INT(hosts_available(ends.ctx), 1, "the host is available");
        end(&ends);
    }
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        struct ends ends = begin(false, "");

        exchange(&ends, nonsense[i]);
        CHECK_INT(exchange(&ends, nonsense[i]), 0, "with \"%s\" it is used again", nonsense[i]);
        CHECK(host_stats(&ends).idle_limit_ms == 0 && host_stats(&ends).use_limit == 0, "as ever");
        end(&ends);
    }
}

int main(void) {
    test_begin("announced_limits");
    RUN(announced_limits_hold);
    RUN(idle_connection_is_given_up_in_time);
    RUN(longer_limits_change_nothing);
    RUN(wrong_limits_harm_nobody);
    return test_end();
}
