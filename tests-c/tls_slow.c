/* Servers that speak slowly to a program that calls SSL_read(): records in parts, and key updates between data. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/idle.h"

/* A connection with this read_timeout on which a request was made. The server does this meanwhile. */
static struct line asked(int read_timeout, void *(*speak)(void *server), pthread_t *speaker) {
    struct line line = idle_in(TLS1_3_VERSION);

    line.ctx->read_timeout = read_timeout;
    take(&line);
    REQUIRE(client_to_peer(line.conn, line.server, "a request"), "a request is made");
    signal(SIGPIPE, SIG_IGN); /* the server's writes, after the client has hung up */
    REQUIRE(pthread_create(speaker, NULL, speak, line.server) == 0, "the server speaks");
    return line;
}

/* ---- records in parts ---------------------------------------------------------------- */

/* The record with this text. Returns its length. */
static size_t seal(SSL *server, const char *text, size_t text_len, char *record, size_t size) {
    BIO *socket = SSL_get_wbio(server);
    BIO *memory = BIO_new(BIO_s_mem());
    int len;

    BIO_up_ref(socket);
    SSL_set0_wbio(server, memory);
    SSL_write(server, text, (int)text_len);
    len = BIO_read(memory, record, (int)size);
    SSL_set0_wbio(server, socket);
    return len > 0 ? (size_t)len : 0;
}

/* Two records, and a pause in each that is shorter than the client's read_timeout of 2 s. */
static void *speak_in_halves(void *server) {
    for (int i = 0; i < 2; i++) {
        char record[256];
        size_t len = seal(server, "a piece", 7, record, sizeof record);

        send_raw(SSL_get_fd(server), record, len / 2);
        sleep_ms(600);
        send_raw(SSL_get_fd(server), record + len / 2, len - len / 2);
        sleep_ms(2500);
    }
    return NULL;
}

static void each_record_has_its_time(void) {
    pthread_t speaker;
    struct line line = asked((int)patience(2), speak_in_halves, &speaker);
    char text[7];

    for (int i = 0; i < 2; i++) {
        CHECK_INT(SSL_read(line.conn->ssl, text, sizeof text), sizeof text, "a piece is read");
        sleep_ms(2800); /* until a half of the next one has come */
    }
    pthread_join(speaker, NULL);
    give(&line);
    line_end(line);
}

static atomic_bool ends;

/* One record, a byte at a time, for longer than any bound here. */
static void *trickle(void *server) {
    static const char text[100] = "a piece";
    char record[256];
    size_t len = seal(server, text, sizeof text, record, sizeof record);

    for (size_t i = 0; i < len && !ends; i++) {
        send_raw(SSL_get_fd(server), record + i, 1);
        sleep_ms((int)patience(100));
    }
    return NULL;
}

static void trickling_record_is_a_timeout(void) {
    pthread_t speaker;
    struct line line = asked(1, trickle, &speaker);
    double begin = seconds_now();
    char byte;
    int n = SSL_read(line.conn->ssl, &byte, 1);

    CHECK(n <= 0, "SSL_read() reads nothing");
    CHECK_INT(SSL_get_error(line.conn->ssl, n), SSL_ERROR_WANT_READ, "and may be tried again");
    CHECK(seconds_now() - begin >= 0.9, "the server had its time");
    CHECK(in_time(begin, 4), "and no more");
    ends = true;
    pthread_join(speaker, NULL);
    dpl_conn_terminate(line.conn);
    line.conn = NULL;
    line_end(line);
}

/* ---- key updates between data -------------------------------------------------------- */

/* Sends a key update, and some time later data. */
static void update_keys_before(SSL *server, const char *text) {
    SSL_key_update(server, SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(server);
    sleep_ms(100);
    SSL_write(server, text, 1);
}

/* Reads until this byte. Fails if a read returns nothing, since each is followed by data soon. */
static bool reads_until(dpl_conn_t *conn, char last) {
    char byte = 0;
    int n;

    do
        n = SSL_read(conn->ssl, &byte, 1);
    while ((n > 0 && byte != last) || (n < 0 && machine_is_slow()));
    return n > 0;
}

/* The program is busy for longer than the read_timeout of 2 s, between two reads that wait. */
static void *speak_before_and_after(void *server) {
    sleep_ms(300);
    SSL_write(server, "1", 1);
    sleep_ms(2700);
    update_keys_before(server, "2");
    return NULL;
}

static void time_of_a_busy_program_is_not_the_servers(void) {
    pthread_t speaker;
    struct line line = asked(2, speak_before_and_after, &speaker);

    CHECK(reads_until(line.conn, '1'), "the first piece is read");
    sleep_ms(2300);
    CHECK(reads_until(line.conn, '2'), "the second is read, after a key update");
    pthread_join(speaker, NULL);
    give(&line);
    line_end(line);
}

/* Pieces for longer than the read_timeout of 2 s, then many at a time. */
static void *speak_for_long(void *server) {
    for (int i = 0; i < 6; i++) {
        SSL_write(server, "1", 1);
        sleep_ms(500);
    }
    for (int i = 0; i < 12; i++)
        SSL_write(server, "1", 1);
    update_keys_before(server, "2");
    return NULL;
}

static void key_update_in_a_long_reply_disturbs_no_read(void) {
    pthread_t speaker;
    struct line line = asked(2, speak_for_long, &speaker);

    CHECK(reads_until(line.conn, '2'), "all is read");
    pthread_join(speaker, NULL);
    give(&line);
    line_end(line);
}

int main(void) {
    setenv("DROPLET_TEST_TLS", "1", 1);
    test_begin("tls_slow");
    RUN(each_record_has_its_time);
    RUN(trickling_record_is_a_timeout);
    RUN(time_of_a_busy_program_is_not_the_servers);
    RUN(key_update_in_a_long_reply_disturbs_no_read);
    return test_end();
}
