/* Descriptors that the program took, closed or put to another use: what is not the library's any
 * more is neither closed nor written to. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/scratch.h"

static struct server *server;
static dpl_ctx_t *ctx;

static void begin(void) {
    server = server_answering(1);
    ctx = context_over_server(server, "");
    REQUIRE(ctx, "a context is made");
}

static void end(void) {
    dpl_ctx_free(ctx);
    server_stop(server);
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static bool is_same_file(int fd, int other) {
    struct stat a, b;

    return fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Nothing has come, and nobody has hung up. */
static bool is_quiet(int fd) {
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static int new_file(void) {
    char path[128];

    snprintf(path, sizeof path, "%s/file", scratch_dir());
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void new_pair(int ends[2]) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
}

/* ---- standard streams -------------------------------------------------------------- */

/* A daemon has closed them; what is printed to them must not reach a server. */
static void no_socket_has_a_standard_streams_number(void) {
    int out = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    int fds[2];
    bool good;

    begin();
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    for (int i = 0; i < 2; i++) {
        dpl_conn_t *conn = i ? dpl_conn_open_host(ctx, AF_INET, "127.0.0.1", server_port(server))
                             : checkout(ctx);

        fds[i] = conn ? conn->fd : -1;
        good = conn && answered_on(conn, i);
        if (conn)
            dpl_conn_terminate(conn);
    }
    end();
    dup2(out, STDERR_FILENO); /* before anything is reported */
    CHECK(good, "with 0 and 2 closed a request is answered");
    CHECK(fds[0] > 2 && fds[1] > 2, "on a socket above them");
}

/* ---- idle connections -------------------------------------------------------------- */

/* The number of the one idle connection. */
static int idle_number(void) {
    dpl_conn_t *conn = checkout(ctx);
    int fd = conn ? conn->fd : -1;

    REQUIRE(conn && answered_on(conn, 1), "a request is answered");
    dpl_conn_release(conn);
    return fd;
}

static void check_left_alone(int fd, int file, const char *what) {
    CHECK(is_same_file(fd, file), "%s is still open", what);
    close(fd);
    close(file);
}

static void file_in_the_place_of_an_idle_socket_stays_open(void) {
    int fd, file;

    begin();
    fd = idle_number();
    file = new_file();
    dup2(file, fd); /* which closes the socket */
    CHECK(answered(ctx, 2), "the next request is answered");
    CHECK_INT(ctx->n_conn_fds, 1, "by another connection");
    CHECK_INT(lseek(file, 0, SEEK_END), 0, "nothing was written to the file");
    check_left_alone(fd, file, "it");
    end();
}

/* Puts one end of a new pair in the place of an idle connection. Returns the number of that. */
static int replace_idle(int ends[2]) {
    int fd = idle_number();

    new_pair(ends);
    dup2(ends[0], fd);
    return fd;
}

static void socket_in_the_place_of_an_idle_one_stays_open(void) {
    int ends[2];
    char byte = 0;
    int fd;

    begin();
    fd = replace_idle(ends);
    REQUIRE(write(ends[1], "x", 1) == 1, "something comes for the program's");
    CHECK(answered(ctx, 2), "the next request is answered");
    CHECK(is_quiet(ends[1]), "the program's peer hears nothing");
    CHECK(read(fd, &byte, 1) == 1 && byte == 'x', "what came is there");
    check_left_alone(fd, ends[0], "the program's socket");
    close(ends[1]);
    end();
}

/* Nothing comes for the program's socket, which so looks like an idle connection. */
static void silent_socket_in_the_place_of_an_idle_one_gets_no_request(void) {
    int ends[2];
    int fd;

    begin();
    fd = replace_idle(ends);
    sleep_ms(700); /* more than the 500 after which the library looks */
    CHECK(answered(ctx, 2), "the next request is answered");
    CHECK(is_quiet(ends[1]), "the program's peer hears nothing");
    check_left_alone(fd, ends[0], "the program's socket");
    close(ends[1]);
    end();
}

static void expired_connection_closes_nothing_else(void) {
    int ends[2];
    int fd;

    begin();
    fd = replace_idle(ends);
    ctx->conn_idle_time = 0;
    CHECK(answered(ctx, 2), "a request is answered, the idle connection is too old");
    CHECK(is_quiet(ends[1]), "the program's peer hears nothing");
    check_left_alone(fd, ends[0], "the program's socket");
    close(ends[1]);
    end();
}

static void freed_context_closes_nothing_else(void) {
    dpl_ctx_t *other;
    dpl_conn_t *conn;
    int first, fd;

    begin();
    other = context_over_server(server, "");
    fd = idle_number();
    conn = checkout(other);
    REQUIRE(conn, "another context makes a connection");
    first = conn->fd;
    conn->fd = dup2(first, fd); /* as if it had got the number when the program closed the other */
    close(first);
    dpl_ctx_free(ctx);
    CHECK(answered_on(conn, 2), "the first context is freed, the connection serves");
    dpl_conn_release(conn);
    ctx = other;
    end();
}

/* ---- a forked child ---------------------------------------------------------------- */

enum { FILES = 40 };

/* As a daemon begins: all is closed, and then come its own files. */
static bool lives_on_its_own(void) {
    bool good = true;

    for (int fd = 3; fd < 200; fd++)
        close(fd);
    for (int i = 0; i < FILES; i++)
        good = open("/dev/null", O_RDWR | O_CLOEXEC) == 3 + i && good;
    good = answered(ctx, 3) && good;
    dpl_ctx_free(ctx);
    for (int i = 0; i < FILES; i++)
        good = is_open(3 + i) && good;
    return good;
}

static void child_keeps_its_own_files(void) {
    int status = -1;
    pid_t child;

    begin();
    REQUIRE(leave_idle(ctx, 3), "three connections are idle");
    child = fork();
    if (child == 0) {
        alarm((unsigned)patience(20));
        if (lives_on_its_own())
            execl("/bin/true", "true", NULL); /* past the leak check: its threads' memory is there */
        _exit(EXIT_FAILURE);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "a child uses the context");
    CHECK(answered(ctx, 4), "the parent goes on");
    CHECK_INT(server_accepted(server), 4, "on its own connections");
    end();
}

/* ---- what the program took --------------------------------------------------------- */

/* It stays open, and its peer sees no end. */
static void check_taken(void (*give_back)(dpl_conn_t *), const char *how) {
    dpl_conn_t *conn;
    int fd;

    begin();
    conn = checkout(ctx);
    REQUIRE(conn && answered_on(conn, 1), "a request is answered");
    fd = conn->fd;
    conn->fd = -1;
    give_back(conn);
    CHECK(is_open(fd), "%s: the socket stays open", how);
    CHECK_INT(ctx->n_conn_fds, 0, "and counts no more");
    CHECK(answered(ctx, 2), "the next request is answered");
    CHECK_INT(server_accepted(server), 2, "by another connection");
    CHECK_INT(server_open(server), 2, "the server sees no end");
    if (!conn->ssl)
        CHECK(send(fd, "GET /3 HTTP/1.1\r\nX-Number: 3\r\n\r\n", 32, MSG_NOSIGNAL) == 32 &&
                  EVENTUALLY(server_requests(server) == 3),
              "the socket can still be used");
    else
        CHECK(true, "the socket can still be used");
    close(fd);
    end();
}

static void taken_socket_survives_release(void) {
    check_taken(dpl_conn_release, "released");
}

static void taken_socket_survives_terminate(void) {
    check_taken(dpl_conn_terminate, "terminated");
}

static void nothing_is_written_without_a_descriptor(void) {
    dpl_conn_t *conn;
    int fd;

    begin();
    conn = checkout(ctx);
    fd = conn->fd;
    conn->fd = -1;
    CHECK_STATUS(send_get(conn, 1), DPL_FAILURE, "the program took the socket: a write fails");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
    dpl_conn_release(conn);
    CHECK(is_open(fd), "the socket stays open");
    close(fd);
    end();
}

static void taken_files_survive(void) {
    begin();
    for (int i = 0; i < 2; i++) {
        int fd = new_file();
        dpl_conn_t *conn = dpl_conn_open_file(ctx, fd);

        REQUIRE(conn && write_string(conn, "x", 5) == DPL_SUCCESS, "a file is written to");
        conn->fd = -1;
        (i ? dpl_conn_terminate : dpl_conn_release)(conn);
        CHECK(is_open(fd), "taken, it stays open");
        close(fd);
    }
    end();
}

static void file_that_the_program_closed_is_not_closed_again(void) {
    int fd, other;
    dpl_conn_t *conn;

    begin();
    fd = new_file();
    conn = dpl_conn_open_file(ctx, fd);
    other = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(other, fd);
    dpl_conn_release(conn);
    check_left_alone(fd, other, "what is there by now");
    end();
}

/* ---- what the program put in its place --------------------------------------------- */

static void socket_may_get_another_number(void) {
    dpl_conn_t *conn;
    int fd;

    begin();
    conn = checkout(ctx);
    fd = conn->fd;
    conn->fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    close(fd);
    CHECK(answered_on(conn, 1), "the socket has another number, a request is answered");
    fd = conn->fd;
    dpl_conn_release(conn);
    conn = checkout(ctx);
    REQUIRE(conn, "there is a connection");
    CHECK_INT(conn->n_hits, 1, "it is used again");
    CHECK_INT(conn->fd, fd, "by its new number");
    CHECK(answered_on(conn, 2), "and serves");
    dpl_conn_terminate(conn);
    CHECK(!is_open(fd), "terminated, that is closed");
    end();
}

static void check_replaced(dpl_conn_t *conn, int old, void (*give_back)(dpl_conn_t *)) {
    char found[8] = "";
    int ends[2];

    new_pair(ends);
    conn->fd = ends[0];
    if (!conn->ssl)
        CHECK(write_string(conn, "hello", 5) == DPL_SUCCESS &&
                  recv(ends[1], found, 5, MSG_WAITALL) == 5 && strcmp(found, "hello") == 0,
              "what is in its place is written to");
    else
        CHECK(true, "what is in its place is written to");
    give_back(conn);
    CHECK(!is_open(ends[0]), "and is closed");
    CHECK(is_open(old), "what was there before is the program's");
    close(old);
    close(ends[1]);
}

static void other_descriptor_takes_the_place(void) {
    void (*const ways[])(dpl_conn_t *) = {dpl_conn_release, dpl_conn_terminate};

    begin();
    for (int i = 0; i < 2; i++) {
        dpl_conn_t *conn = checkout(ctx);
        int file = new_file();

        REQUIRE(conn, "there is a connection");
        check_replaced(conn, conn->fd, ways[i]);
        conn = dpl_conn_open_file(ctx, file);
        check_replaced(conn, file, ways[i]);
    }
    CHECK_INT(ctx->n_conn_fds, 0, "none of them is kept");
    CHECK(answered(ctx, 1), "a request is answered");
    CHECK_INT(blacklisted_until(ctx, server), 0, "the host is not blamed");
    end();
}

int main(void) {
    test_begin("descriptors");
    RUN(no_socket_has_a_standard_streams_number);
    RUN(file_in_the_place_of_an_idle_socket_stays_open);
    RUN(socket_in_the_place_of_an_idle_one_stays_open);
    RUN(silent_socket_in_the_place_of_an_idle_one_gets_no_request);
    RUN(expired_connection_closes_nothing_else);
    RUN(freed_context_closes_nothing_else);
    RUN(child_keeps_its_own_files);
    RUN(taken_socket_survives_release);
    RUN(taken_socket_survives_terminate);
    RUN(nothing_is_written_without_a_descriptor);
    RUN(taken_files_survive);
    RUN(file_that_the_program_closed_is_not_closed_again);
    RUN(socket_may_get_another_number);
    RUN(other_descriptor_takes_the_place);
    return test_end();
}
