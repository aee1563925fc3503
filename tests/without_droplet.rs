//! A test of `libdroplet_conn` in a process without any Droplet: replies can be read, but their fields need Droplet's
//! dictionaries.

mod common;

use std::process::Command;

use common::loopback::Server;
use common::{empty_folder, root, run, shared_library, write};

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

#[test]
fn fields_of_a_reply_need_a_droplet() {
    let folder = empty_folder("without-droplet");
    let (source, program) = (write(&folder, "program.c", PROGRAM), folder.join("program"));
    let ours = shared_library().parent().expect("a folder").to_owned();
    let mut build = Command::new("cc");
    build.args(["-Wall", "-Wextra", "-Werror"]).arg(&source).arg("-I").arg(root().join("include"));
    run(build.arg("-L").arg(&ours).args(["-ldroplet_conn", "-o"]).arg(&program));
    let server = Server::plain();
    let mut command = Command::new(&program);
    command.arg(format!("host = {}", server.address)).env("LD_LIBRARY_PATH", &ours);
    // DPL_ENOTSUPP; then the body, on another connection.
    assert_eq!(run(&mut command), "-14 0 said\n0 1\n1 0\n");
    assert_eq!(server.accepted(), 2);
}
