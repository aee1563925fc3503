/* Writing over TLS: the records that pieces are put in, and sizes above 4 GiB. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/noise.h"
#include "support/peer.h"

enum { KIB = 1024, MIB = 1024 * 1024, RECORD = 16 * 1024, PIECES = 5000 };

/* ---- a peer that reads in a thread of its own -------------------------------------- */

/* Totals of what the peer has read. The digest depends on the order of the bytes. */
struct reader {
    SSL *tls;
    pthread_t thread;
    atomic_long bytes;
    atomic_int records;
    _Atomic uint64_t digest;
    bool digests;
};

static void count_record(int is_write, int version, int type, const void *bytes, size_t len,
                         SSL *tls, void *reader) {
    (void)version;
    (void)len;
    (void)tls;
    /* A record's header begins with what is in it: application data. */
    if (!is_write && type == SSL3_RT_HEADER &&
        *(const unsigned char *)bytes == SSL3_RT_APPLICATION_DATA)
        ((struct reader *)reader)->records++;
}

static void *read_all(void *arg) {
    static _Thread_local char bytes[64 * KIB];
    struct reader *reader = arg;
    sigset_t all;
    int n;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    while ((n = SSL_read(reader->tls, bytes, sizeof bytes)) > 0) {
        if (reader->digests)
            reader->digest = digest_more(reader->digest, bytes, (size_t)n);
        reader->bytes += n;
    }
    return NULL;
}

/* A connection and its reader. */
struct line {
    struct peer *peer;
    dpl_ctx_t *ctx;
    dpl_conn_t *conn;
    struct reader *reader;
};

static struct line connect_in(int version, bool digests) {
    SSL_CTX *tls = server_tls_new(NULL);
    struct line line = {.reader = calloc(1, sizeof *line.reader)};

    SSL_CTX_set_min_proto_version(tls, version);
    SSL_CTX_set_max_proto_version(tls, version);
    /* Since OpenSSL 3.2 one that is set after the handshake is not called for records. */
    SSL_CTX_set_msg_callback(tls, count_record);
    SSL_CTX_set_msg_callback_arg(tls, line.reader);
    line.peer = peer_start(tls);
    line.ctx = context_over(peer_name(line.peer), "");
    line.conn = checkout(line.ctx);
    line.reader->tls = peer_tls(line.peer, 0);
    REQUIRE(line.conn && line.reader->tls, "a connection is made");
    line.reader->digest = DIGEST_OF_NOTHING;
    line.reader->digests = digests;
    line.reader->records = 0; /* TLS 1.3 has handshakes in such records too */
    pthread_create(&line.reader->thread, NULL, read_all, line.reader);
    return line;
}

static void disconnect(struct line line) {
    dpl_conn_terminate(line.conn);
    pthread_join(line.reader->thread, NULL);
    dpl_ctx_free(line.ctx);
    peer_stop(line.peer);
    free(line.reader);
}

static bool arrived(struct line line, long size) {
    return EVENTUALLY(line.reader->bytes >= size) && line.reader->bytes == size;
}

/* ---- records ----------------------------------------------------------------------- */

/* Pieces of these sizes must arrive as they were, in so many records. */
static void check_records(const char *what, const int *sizes, int n, int expected) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct iovec *iov = calloc((size_t)n + 1, sizeof *iov);
    size_t total = 0;
    char *bytes;

    for (int i = 0; i < n; i++)
        total += (size_t)sizes[i];
    bytes = noise(total);
    for (size_t v = 0; v < sizeof versions / sizeof *versions; v++) {
        struct line line = connect_in(versions[v], true);
        size_t at = 0;

        for (int i = 0; i < n; i++) {
            iov[i] = (struct iovec){.iov_base = bytes + at, .iov_len = (size_t)sizes[i]};
            at += (size_t)sizes[i];
        }
        CHECK_STATUS(dpl_conn_writev_all(line.conn, iov, n, 5), DPL_SUCCESS, "%s: written", what);
        CHECK(arrived(line, (long)total), "all of it arrives");
        CHECK(line.reader->digest == digest_more(DIGEST_OF_NOTHING, bytes, total), "as it was");
        CHECK_INT(line.reader->records, expected, "in %d records", expected);
        disconnect(line);
    }
    free(bytes);
    free(iov);
}

#define CHECK_RECORDS(what, expected, ...) \
    check_records(what, (const int[]){__VA_ARGS__}, \
                  (int)(sizeof(int[]){__VA_ARGS__} / sizeof(int)), expected)

static void small_pieces_share_a_record(void) {
    CHECK_RECORDS("one byte", 1, 1);
    CHECK_RECORDS("8 KiB in 4 pieces", 1, 2 * KIB, 2 * KIB, 2 * KIB, 2 * KIB);
    CHECK_RECORDS("16 KiB in 4 pieces", 1, 4 * KIB, 4 * KIB, 4 * KIB, 4 * KIB);
    CHECK_RECORDS("16 KiB and a byte in 5 pieces", 2, 4 * KIB, 4 * KIB, 4 * KIB, 4 * KIB, 1);
    CHECK_RECORDS("a head and a small body", 1, 300, 2, 5000);
    CHECK_RECORDS("empty pieces between", 1, 0, 100, 0, 0, 100, 0);
}

static void large_pieces_fill_records(void) {
    CHECK_RECORDS("16 KiB", 1, RECORD);
    CHECK_RECORDS("1 MiB", MIB / RECORD, MIB);
    CHECK_RECORDS("1 MiB in 4 pieces", MIB / RECORD, MIB / 4, MIB / 4, MIB / 4, MIB / 4);
    CHECK_RECORDS("a head and 1 MiB", MIB / RECORD + 1, 300, MIB);
    CHECK_RECORDS("1 MiB and a tail", MIB / RECORD + 1, MIB, 300);
    CHECK_RECORDS("odd sizes", 8, 300, 40001, 20003, 5, 60007);
}

static void thousands_of_pieces_share_records(void) {
    static int sizes[PIECES];
    int total = 0;

    for (int i = 0; i < PIECES; i++)
        total += sizes[i] = i % 50;
    check_records("5000 pieces", sizes, PIECES, (total + RECORD - 1) / RECORD);
}

static void nothing_to_write_is_a_success(void) {
    struct line line = connect_in(TLS1_3_VERSION, true);
    struct iovec empty[3] = {{0}};

    CHECK_STATUS(dpl_conn_writev_all(line.conn, NULL, 0, 1), DPL_SUCCESS, "no pieces");
    CHECK_STATUS(dpl_conn_writev_all(line.conn, empty, 3, 1), DPL_SUCCESS, "three empty pieces");
    CHECK_STATUS(dpl_conn_writev_all(line.conn, empty, 3, 0), DPL_SUCCESS, "at once");
    CHECK_STATUS(write_string(line.conn, "x", 1), DPL_SUCCESS, "then a byte");
    CHECK(arrived(line, 1), "which arrives");
    CHECK_INT(line.reader->records, 1, "alone: nothing took no record");
    CHECK_INT(hosts_available(line.ctx), 1, "nobody is blamed");
    disconnect(line);
}

/* More than 32 bits can count, in one call, of one block again and again. */
static void more_than_4_gib_arrive(void) {
    enum { BLOCKS = 4100 };
    struct line line;
    struct iovec *iov;
    char *block;

    if (machine_is_slow()) {
        check_skip("not on a slow machine");
        return;
    }
    line = connect_in(TLS1_3_VERSION, false);
    iov = calloc(BLOCKS, sizeof *iov);
    block = noise(MIB);
    for (int i = 0; i < BLOCKS; i++)
        iov[i] = (struct iovec){.iov_base = block, .iov_len = MIB};
    CHECK_STATUS(dpl_conn_writev_all(line.conn, iov, BLOCKS, 10), DPL_SUCCESS,
                 "4,100 MiB are written at once");
    CHECK(arrived(line, (long)BLOCKS * MIB), "all of it arrives");
    CHECK_INT(line.reader->records, BLOCKS * (MIB / RECORD), "in full records");
    CHECK(write_string(line.conn, "and more", 5) == DPL_SUCCESS, "then a little more");
    CHECK(arrived(line, (long)BLOCKS * MIB + 8), "which arrives");
    disconnect(line);
    free(block);
    free(iov);
}

/* So large a piece takes little memory: all of it is the same MiB, mapped again and again. */
static char *map_repeatedly(size_t size) {
    int fd = memfd_create("a block", MFD_CLOEXEC);
    char *block = noise(MIB);
    char *space = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    REQUIRE(fd >= 0 && write(fd, block, MIB) == MIB && space != MAP_FAILED, "there is a block");
    for (size_t at = 0; at < size; at += MIB)
        REQUIRE(mmap(space + at, MIB, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED,
                "it is mapped");
    close(fd);
    free(block);
    return space;
}

static void piece_of_more_than_4_gib_arrives(void) {
    const size_t size = 4100ul * MIB;
    struct line line;
    struct iovec iov;

    if (machine_is_slow()) {
        check_skip("not on a slow machine");
        return;
    }
    line = connect_in(TLS1_3_VERSION, false);
    iov = (struct iovec){.iov_base = map_repeatedly(size), .iov_len = size};
    CHECK_STATUS(dpl_conn_writev_all(line.conn, &iov, 1, 10), DPL_SUCCESS,
                 "a piece of 4,100 MiB is written");
    CHECK(arrived(line, (long)size), "all of it arrives");
    CHECK_INT(line.reader->records, (long)(size / RECORD), "in full records");
    munmap(iov.iov_base, size);
    disconnect(line);
}

/* ---- both ways --------------------------------------------------------------------- */

static dpl_status_t write_block(dpl_conn_t *conn, char *bytes, size_t size, int timeout) {
    struct iovec iov = {.iov_base = bytes, .iov_len = size};

    return dpl_conn_writev_all(conn, &iov, 1, timeout);
}

/* A key update in the middle of a long write is answered within it. */
static void peer_may_change_keys_meanwhile(void) {
    struct line line = connect_in(TLS1_3_VERSION, true);
    char *bytes = noise(MIB);

    for (int i = 0; i < 8; i++) {
        CHECK_STATUS(write_block(line.conn, bytes, MIB, 5), DPL_SUCCESS, "1 MiB is written");
        if (i % 2 == 0)
            CHECK(SSL_key_update(line.conn->ssl, SSL_KEY_UPDATE_REQUESTED) == 1,
                  "both keys are to be changed");
    }
    CHECK(arrived(line, 8L * MIB), "all of it arrives");
    free(bytes);
    disconnect(line);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_write");
    RUN(small_pieces_share_a_record);
    RUN(large_pieces_fill_records);
    RUN(thousands_of_pieces_share_records);
    RUN(nothing_to_write_is_a_success);
    RUN(more_than_4_gib_arrive);
    RUN(piece_of_more_than_4_gib_arrives);
    RUN(peer_may_change_keys_meanwhile);
    return test_end();
}
