/* Writing to a connection, plain or over TLS: all of it, in time, whatever the peer does. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/noise.h"

enum { KIB = 1024, MIB = 1024 * 1024, PIECES = 5000, SMALL = 16 * 1024 };

/* One connection to one server that reads and counts, or does not read. */
struct line {
    struct server *server;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
};

static struct line connect_to(struct server_options options) {
    struct line line = {.server = server_start(options)};

    line.ctx = context_over_server(line.server, "");
    line.conn = checkout(line.ctx);
    REQUIRE(line.conn && EVENTUALLY(server_open(line.server) == 1), "a connection is made");
    return line;
}

static void disconnect(struct line line) {
    if (line.conn)
        dpl_conn_terminate(line.conn);
    dpl_ctx_free(line.ctx);
    server_stop(line.server);
}

/* More than the kernel keeps for a peer with a receive buffer of a fixed size; valgrind has no time
 * for more. */
static size_t large(void) {
    return (machine_is_slow() ? 16 : 32) * (size_t)MIB;
}

static dpl_status_t write_block(dpl_conn_t *conn, char *bytes, size_t size, int timeout) {
    struct iovec iov = {.iov_base = bytes, .iov_len = size};

    return dpl_conn_writev_all(conn, &iov, 1, timeout);
}

static void check_arrived(struct server *server, const char *bytes, size_t size) {
    CHECK(EVENTUALLY(server_bytes(server) >= (long)size), "all of it arrives");
    CHECK_INT(server_bytes(server), (long)size, "and no more");
    CHECK(EVENTUALLY(server_digest(server) == digest_more(DIGEST_OF_NOTHING, bytes, size)),
          "as it was");
}

/* ---- all of it --------------------------------------------------------------------- */

static void all_sizes_arrive(void) {
    static const int sizes[] = {1, 2, 100, 16383, 16384, 16385, 65536, MIB, 5 * MIB};
    struct line line = connect_to((struct server_options){.behaviour = DISCARD});
    char *bytes = noise(16 * MIB);
    size_t sent = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_STATUS(write_block(line.conn, bytes + sent, (size_t)sizes[i], 10), DPL_SUCCESS,
                     "%d bytes are written", sizes[i]);
        sent += (size_t)sizes[i];
    }
    check_arrived(line.server, bytes, sent);
    free(bytes);
    disconnect(line);
}

/* Small and large pieces in turns, as headers and data are, and some with nothing in them. */
static size_t cut_into_pieces(char *bytes, struct iovec *iov, int n) {
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        size_t len = i % 1000 == 999 ? 70000 : (size_t)(i % 50);

        iov[i] = (struct iovec){.iov_base = len ? bytes + at : NULL, .iov_len = len};
        at += len;
    }
    return at;
}

static void many_pieces_arrive(void) {
    struct line line = connect_to((struct server_options){.behaviour = DISCARD});
    struct iovec *iov = calloc(PIECES, sizeof *iov);
    char *bytes = noise(4 * MIB);
    size_t size = cut_into_pieces(bytes, iov, PIECES);

    CHECK_STATUS(dpl_conn_writev_all(line.conn, iov, PIECES, 10), DPL_SUCCESS,
                 "5000 pieces are written, empty ones at NULL among them");
    check_arrived(line.server, bytes, size);
    free(bytes);
    free(iov);
    disconnect(line);
}

static void nothing_to_write_is_a_success(void) {
    struct line line = connect_to((struct server_options){.behaviour = DISCARD});
    struct iovec empty[3] = {{0}};

    CHECK_STATUS(dpl_conn_writev_all(line.conn, empty, 0, 1), DPL_SUCCESS, "no pieces");
    CHECK_STATUS(dpl_conn_writev_all(line.conn, NULL, 0, 1), DPL_SUCCESS, "no array of pieces");
    CHECK_STATUS(dpl_conn_writev_all(line.conn, empty, 3, 1), DPL_SUCCESS, "three empty pieces");
    CHECK_STATUS(dpl_conn_writev_all(line.conn, empty, 3, 0), DPL_SUCCESS, "at once");
    CHECK_INT(blacklisted_until(line.ctx, line.server), 0, "nobody is blamed");
    CHECK_STATUS(write_string(line.conn, "x", 1), DPL_SUCCESS, "the connection still works");
    CHECK(EVENTUALLY(server_bytes(line.server) == 1), "one byte arrives");
    disconnect(line);
}

/* ---- in time ----------------------------------------------------------------------- */

static void check_large_to_slow_reader(int timeout, bool storm) {
    struct line line = connect_to((struct server_options){.behaviour = DRAIN,
                                                          .drain_bytes = 64 * KIB,
                                                          .drain_pause_ms = 1,
                                                          .receive_buffer = 256 * KIB});
    char *bytes = noise(large());

    if (storm)
        storm_begin(1000);
    CHECK_STATUS(write_block(line.conn, bytes, large(), timeout), DPL_SUCCESS,
                 "a large block is written to a slow reader");
    storm_end();
    check_arrived(line.server, bytes, large());
    free(bytes);
    disconnect(line);
}

static void large_block_reaches_a_slow_reader(void) {
    check_large_to_slow_reader((int)patience(10), false);
}

static void signals_do_not_disturb_a_write(void) {
    check_large_to_slow_reader((int)patience(10), true);
}

static void no_timeout_is_none(void) {
    check_large_to_slow_reader(-1, false);
}

/* The peer took the connection and reads no more. */
static struct line connect_to_stalled(void) {
    struct line line = connect_to((struct server_options){.receive_buffer = 64 * 1024});

    server_behave(line.server, SILENT);
    return line;
}

static dpl_status_t write_one_block(dpl_conn_t *conn, char *bytes, int timeout) {
    return write_block(conn, bytes, large(), timeout);
}

static dpl_status_t write_small_pieces(dpl_conn_t *conn, char *bytes, int timeout) {
    static struct iovec iov[SMALL];

    for (int i = 0; i < SMALL; i++)
        iov[i] = (struct iovec){.iov_base = bytes + i * KIB, .iov_len = KIB};
    return dpl_conn_writev_all(conn, iov, SMALL, timeout);
}

static dpl_status_t write_many_times(dpl_conn_t *conn, char *bytes, int timeout) {
    dpl_status_t status = DPL_SUCCESS;

    for (int i = 0; i < SMALL && status == DPL_SUCCESS; i++)
        status = write_block(conn, bytes + i * KIB, KIB, timeout);
    return status;
}

static void check_stalled(dpl_status_t (*write)(dpl_conn_t *, char *, int), int timeout,
                          bool storm) {
    struct line line = connect_to_stalled();
    char *bytes = noise(large());
    double begin = seconds_now();

    if (storm)
        storm_begin(10000);
    CHECK_STATUS(write(line.conn, bytes, timeout), DPL_ETIMEOUT,
                 "a peer that stops reading is a timeout");
    storm_end();
    CHECK(seconds_now() - begin >= 0.9 * timeout, "after the timeout");
    CHECK(in_time(begin, timeout + 1), "and at most a second later");
    CHECK(blacklisted_until(line.ctx, line.server) != 0, "its host is out");
    dpl_conn_release(line.conn);
    CHECK_INT(line.ctx->n_conn_fds, 0, "the connection is closed, even if released");
    line.conn = NULL;
    free(bytes);
    disconnect(line);
}

static void stalled_write_times_out(void) {
    check_stalled(write_one_block, 1, false);
    check_stalled(write_small_pieces, 1, false);
    check_stalled(write_many_times, 1, false);
}

static void signals_do_not_prolong_a_stalled_write(void) {
    check_stalled(write_one_block, 1, true);
}

static void timeout_of_zero_does_not_wait(void) {
    check_stalled(write_one_block, 0, false);
    check_stalled(write_many_times, 0, false);
}

static void timeout_of_zero_writes_what_fits(void) {
    struct line line = connect_to((struct server_options){.behaviour = DISCARD});

    CHECK_STATUS(write_string(line.conn, "a few bytes", 0), DPL_SUCCESS, "they are written");
    CHECK(EVENTUALLY(server_bytes(line.server) == 11), "and arrive");
    disconnect(line);
}

/* The whole takes longer than the timeout, but something moves all the time. A receive buffer of
 * less than a segment of the loopback interface would make the kernel pause for seconds. */
static void timeout_counts_from_the_last_progress(void) {
    enum { SIZE = 16 * MIB };
    struct line line = connect_to((struct server_options){.behaviour = DRAIN,
                                                          .drain_bytes = 32 * KIB,
                                                          .drain_pause_ms = 10,
                                                          .receive_buffer = 256 * KIB});
    char *bytes = noise(SIZE);
    double begin = seconds_now();

    CHECK_STATUS(write_block(line.conn, bytes, SIZE, (int)patience(2)), DPL_SUCCESS,
                 "16 MiB are written to a reader that never stops");
    CHECK(machine_is_slow() || seconds_now() - begin > 2.5,
          "in more than the timeout of two seconds");
    check_arrived(line.server, bytes, SIZE);
    free(bytes);
    disconnect(line);
}

/* ---- to a peer that is gone -------------------------------------------------------- */

/* The first bytes after a close may go out before the peer's answer to them is known. */
static dpl_status_t write_until_failure(dpl_conn_t *conn) {
    dpl_status_t status = DPL_SUCCESS;

    for (int i = 0; i < 100 && status == DPL_SUCCESS; i++) {
        status = write_string(conn, "anybody there?", 1);
        sleep_ms(5);
    }
    return status;
}

static void check_gone(struct line line, void (*leave)(struct server *)) {
    leave(line.server);
    sleep_ms(200);
    CHECK_STATUS(write_until_failure(line.conn), DPL_FAILURE, "a write fails");
    CHECK_STATUS(write_string(line.conn, "again", 1), DPL_FAILURE, "and the next");
    dpl_conn_release(line.conn);
    CHECK_INT(line.ctx->n_conn_fds, 0, "the connection is closed, even if released");
}

static void check_gone_when_fresh(void (*leave)(struct server *)) {
    struct line line = connect_to((struct server_options){.behaviour = DISCARD});

    REQUIRE(write_string(line.conn, "x", 1) == DPL_SUCCESS &&
                EVENTUALLY(server_bytes(line.server) == 1),
            "a byte arrives");
    check_gone(line, leave);
    line.conn = NULL;
    CHECK(blacklisted_until(line.ctx, line.server) != 0, "its host is out");
    disconnect(line);
}

static void closed_peer_is_a_failure(void) {
    check_gone_when_fresh(server_close_connections);
}

static void reset_peer_is_a_failure(void) {
    check_gone_when_fresh(server_reset_connections);
}

static void killed_peer_is_a_failure(void) {
    check_gone_when_fresh(server_kill);
}

/* While the peer's buffers are full, and the writer waits. */
static void *reset_later(void *server) {
    sleep_ms(300);
    server_reset_connections(server);
    return NULL;
}

static void reset_in_the_middle_is_a_failure(void) {
    struct line line = connect_to_stalled();
    char *bytes = noise(large());
    pthread_t thread;

    pthread_create(&thread, NULL, reset_later, line.server);
    CHECK_STATUS(write_block(line.conn, bytes, large(), (int)patience(5)), DPL_FAILURE,
                 "a peer that resets while it is written to is a failure");
    pthread_join(thread, NULL);
    dpl_conn_release(line.conn);
    CHECK_INT(line.ctx->n_conn_fds, 0, "the connection is closed, even if released");
    line.conn = NULL;
    free(bytes);
    disconnect(line);
}

static void reused_connection_is_not_the_hosts_fault(void) {
    struct line line = connect_to((struct server_options){.behaviour = ANSWER});

    REQUIRE(answered_on(line.conn, 1), "a request is answered");
    dpl_conn_release(line.conn);
    line.conn = checkout(line.ctx);
    CHECK_INT(line.conn->n_hits, 1, "the connection is reused");
    check_gone(line, server_reset_connections);
    line.conn = NULL;
    CHECK_INT(blacklisted_until(line.ctx, line.server), 0, "its host is not blamed");
    CHECK(answered(line.ctx, 2), "and answers the next request");
    disconnect(line);
}

int main(void) {
    test_begin("write");
    RUN(all_sizes_arrive);
    RUN(many_pieces_arrive);
    RUN(nothing_to_write_is_a_success);
    RUN(large_block_reaches_a_slow_reader);
    RUN(signals_do_not_disturb_a_write);
    RUN(no_timeout_is_none);
    RUN(stalled_write_times_out);
    RUN(signals_do_not_prolong_a_stalled_write);
    RUN(timeout_of_zero_does_not_wait);
    RUN(timeout_of_zero_writes_what_fits);
    RUN(timeout_counts_from_the_last_progress);
    RUN(closed_peer_is_a_failure);
    RUN(reset_peer_is_a_failure);
    RUN(killed_peer_is_a_failure);
    RUN(reset_in_the_middle_is_a_failure);
    RUN(reused_connection_is_not_the_hosts_fault);
    return test_end();
}
