//! A program that loads Droplet with dlopen(3), as a daemon loads it with a plugin: its calls come to us, and
//! our messages go to its log function, though no reference of ours to Droplet was bound.

mod common;

use std::process::Command;

use common::{empty_folder, make, root, run, shared_library, write};

const PROGRAM: &str = r#"
#include <dlfcn.h>
#include <stdio.h>

static void own_log(void *ctx, int level, const char *message) { printf("own log: %s\n", message); }

int main(int argc, char **argv) {
    void *host = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void *(*ctx_new)(const char *, const char *) = dlsym(host, "dpl_ctx_new");
    void *(*req_new)(void *) = dlsym(host, "dpl_req_new");
    void (*set_log)(void (*)(void *, int, const char *)) = dlsym(host, "dpl_set_log_func");
    int (*try_connect)(void *, void *, void *) = dlsym(RTLD_DEFAULT, "dpl_try_connect");
    void *ctx, *conn = NULL;

    set_log(own_log);
    ctx = ctx_new(argv[2], "one");
    printf("status %d\n", try_connect(ctx, req_new(ctx), &conn));
    return 0;
}
"#;

#[test]
fn messages_reach_a_droplet_that_was_loaded_later() {
    make(&["c-host"]);
    let folder = empty_folder("dlopened");
    let source = write(&folder, "program.c", PROGRAM);
    // Nothing listens at port 1. The backend is what leads to the host: this one needs no other variable.
    write(&folder, "one.profile", "backend = posix\nhost = 127.0.0.1:1\npricing_dir = \"\"\n");
    let program = folder.join("program");
    run(Command::new("cc").arg(source).arg("-o").arg(&program).arg("-ldl"));

    for layout in ["3.0", "bareos"] {
        let host = root().join("target/tests-c").join(layout).join("libdroplet.so.0");
        let printed = run(Command::new(&program).arg(host).arg(&folder).env("LD_PRELOAD", shared_library()));
        assert!(printed.contains("own log: error: "), "{printed}");
        assert!(printed.contains("connect to 127.0.0.1:1: Connection refused"), "{printed}");
        assert!(printed.contains("status -1"), "{printed}");
    }
}
