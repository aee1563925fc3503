//! Tests of `libdroplet_conn` in processes without any Droplet: replies can be read, but their fields need Droplet's
//! dictionaries. Where there is another reply reader, `DPLX_REPLY_READER=droplet` hands over to it.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use common::loopback::{DeadHost, Server};
use common::{empty_folder, outcome, root, run, shared_library, write};

const PROGRAM: &str = r#"
#include <droplet_conn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dpl_conn_t *ask(dpl_ctx_t *ctx, dpl_req_t *req) {
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    dpl_conn_t *conn = NULL;

    if (dpl_try_connect(ctx, req, &conn) != DPL_SUCCESS ||
        dplx_conn_write(conn, request, sizeof request - 1, 5000) != DPL_SUCCESS)
        exit(2);
    return conn;
}

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = argc > 1 ? dplx_ctx_new(argv[1]) : NULL;
    dpl_req_t *req = dplx_req_new(ctx, NULL);
    dpl_dict_t *fields = NULL;
    char *body = NULL;
    unsigned int len = 0;
    dpl_conn_t *conn = ask(ctx, req);

    printf("%d", dpl_read_http_reply(conn, 1, &body, &len, &fields, NULL));
    printf(" %d %s\n", fields != NULL, strstr(dplx_last_error(), "its fields are wanted") ? "said" : "silent");
    dpl_conn_release(conn);
    conn = ask(ctx, req);
    printf("%d", dpl_read_http_reply(conn, 1, &body, &len, NULL, NULL));
    printf(" %.*s", (int)len, body);
    free(body);
    dpl_conn_release(conn);
    printf("%d %d\n", dpl_connection_close(NULL), dpl_location(NULL) != NULL);
    dplx_req_free(req);
    dplx_ctx_free(ctx);
    return 0;
}
"#;

/// Builds a C program that is linked with the library, and returns a command that runs it over a host.
fn program(folder: &Path, source: &str, host: SocketAddr) -> Command {
    let (source, program) = (write(folder, "program.c", source), folder.join("program"));
    let ours = shared_library().parent().expect("a folder").to_owned();
    let mut build = Command::new("cc");
    build.args(["-Wall", "-Wextra", "-Werror"]).arg(&source).arg("-I").arg(root().join("include"));
    run(build.arg("-L").arg(&ours).args(["-ldroplet_conn", "-o"]).arg(&program));
    let mut command = Command::new(&program);
    command.arg(format!("host = {host}")).env("LD_LIBRARY_PATH", &ours);
    command
}

#[test]
fn fields_of_a_reply_need_a_droplet() {
    let server = Server::plain();
    let mut command = program(&empty_folder("without-droplet"), PROGRAM, server.address);
    // DPL_ENOTSUPP; then the body, on another connection.
    assert_eq!(run(&mut command), "-14 0 said\n0 1\n1 0\n");
    assert_eq!(server.accepted(), 2);
}

/// A call that fails, and a connect that fails, whose host is then out.
const FAILURES: &str = r#"
#include <droplet_conn.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx = argc > 1 ? dplx_ctx_new(argv[1]) : NULL;
    dpl_conn_t *conn = NULL;

    dpl_try_connect(NULL, NULL, &conn);
    dpl_try_connect(ctx, dplx_req_new(ctx, NULL), &conn);
    return 0;
}
"#;

#[test]
fn messages_and_traces_go_to_stderr() {
    let dead = DeadHost::new();
    let mut command = program(&empty_folder("stderr-without-droplet"), FAILURES, dead.address);
    let mut printed = |level: &str| {
        let output = outcome(command.env("DPL_TRACE_LEVEL", level));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    // What happens in a context of dplx_ctx_new() is in dplx_last_error().
    let messages = printed("03");
    assert_eq!(messages.lines().count(), 1, "{messages}");
    assert!(messages.starts_with("error: src/exports/"), "{messages}");
    assert!(messages.ends_with(": dpl_try_connect: the context is NULL\n"), "{messages}");
    let traces = printed("04");
    let traced = format!(": {} is blacklisted for 10 s", dead.address);
    assert!(traces.lines().any(|it| it.starts_with("trace: ") && it.ends_with(&traced)), "{traces}");
}

/// Another reply reader. Each function returns a number of its own if it gets what [`CALLER`] gives.
const OTHER_READER: &str = r#"
int dpl_read_http_reply(void *conn, int data, char **bufp, unsigned int *lenp, void **fields, int *close) {
    return conn == (void *)1 && data == 2 && bufp == (void *)3 && lenp == (void *)4 && fields == (void *)5 &&
                   close == (void *)6 ? 41 : 0;
}

int dpl_read_http_reply_ext(void *conn, int data, int own, char **bufp, unsigned int *lenp, void **fields, int *close) {
    return conn == (void *)1 && data == 2 && own == 3 && bufp == (void *)4 && lenp == (void *)5 &&
                   fields == (void *)6 && close == (void *)7 ? 42 : 0;
}

int dpl_read_http_reply_buffered(void *conn, int data, int *statusp, void *field, void *body, void *arg) {
    return conn == (void *)1 && data == 2 && statusp == (void *)3 && field == (void *)4 && body == (void *)5 &&
                   arg == (void *)6 ? 43 : 0;
}
"#;

const CALLER: &str = r#"
#include <stdio.h>

int dpl_read_http_reply(void *, int, void *, void *, void *, void *);
int dpl_read_http_reply_ext(void *, int, int, void *, void *, void *, void *);
int dpl_read_http_reply_buffered(void *, int, void *, void *, void *, void *);

int main(void) {
    printf("%d", dpl_read_http_reply((void *)1, 2, (void *)3, (void *)4, (void *)5, (void *)6));
    printf(" %d", dpl_read_http_reply_ext((void *)1, 2, 3, (void *)4, (void *)5, (void *)6, (void *)7));
    printf(" %d\n", dpl_read_http_reply_buffered((void *)1, 2, (void *)3, (void *)4, (void *)5, (void *)6));
    return 0;
}
"#;

#[test]
fn another_reader_gets_all_arguments() {
    let folder = empty_folder("another-reader");
    let (other, caller) = (folder.join("libother.so"), folder.join("caller"));
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&other).arg(write(
        &folder,
        "other.c",
        OTHER_READER,
    )));
    run(Command::new("cc").arg(write(&folder, "caller.c", CALLER)).arg(&other).arg("-o").arg(&caller));
    let mut command = Command::new(&caller);
    command.env("LD_PRELOAD", shared_library()).env("DPLX_REPLY_READER", "droplet");
    assert_eq!(run(&mut command), "41 42 43\n");
}
