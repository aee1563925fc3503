//! A program that loads Droplet with dlopen(3), as a daemon does with a plugin. Its calls are bound to this library, and
//! messages go to its log function, although Droplet was not there when this library was loaded. The plugin may
//! contain Droplet's static library.

mod common;

use std::ffi::OsStr;
use std::process::Command;

use common::{empty_folder, make, outcome, root, run, shared_library, static_library, write};

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
fn messages_go_to_a_droplet_that_was_loaded_later() {
    make(&["c-host"]);
    let folder = empty_folder("dlopened");
    let source = write(&folder, "program.c", PROGRAM);
    // Nothing listens on port 1. The stand-in needs no other variable for this backend.
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

/// A plugin, in which Droplet is.
const PLUGIN: &str = r#"
#include <droplet.h>

int plugin(char *folder) {
    dpl_ctx_t *ctx = dpl_ctx_new(folder, "one");

    return ctx ? dpl_put(ctx, "bucket", "path", "", 0) : 1;
}
"#;

const LOADER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    int (*call)(char *) = plugin ? (int (*)(char *))dlsym(plugin, "plugin") : NULL;

    if (!call)
        fprintf(stderr, "%s\n", dlerror());
    else
        printf("status %d\n", call(argv[2]));
    return !call;
}
"#;

/// The host's own connections are poison: a call that reaches them ends the process.
#[test]
fn static_droplet_in_a_plugin_is_replaced() {
    make(&["c-host"]);
    let folder = empty_folder("static-in-plugin");
    write(&folder, "one.profile", "backend = posix\nhost = 127.0.0.1:1\npricing_dir = \"\"\n");
    let loader = folder.join("loader");
    run(Command::new("cc").arg(write(&folder, "loader.c", LOADER)).args(["-ldl", "-o"]).arg(&loader));
    let host = root().join("target/tests-c/3.0/libdroplet.a");
    let build = |name: &str, before: &[&OsStr]| {
        let plugin = folder.join(name);
        run(Command::new("cc")
            .args(["-shared", "-fPIC", "-D_GNU_SOURCE", "-I"])
            .arg(root().join("tests-c/host"))
            .arg(write(&folder, "plugin.c", PLUGIN))
            .args(before)
            .arg(&host)
            .args(["-lssl", "-lcrypto", "-lpthread", "-ldl", "-lm", "-o"])
            .arg(&plugin));
        let mut command = Command::new(&loader);
        command.arg(plugin).arg(&folder);
        command
    };

    let mut preloaded = build("plugin.so", &[]);
    assert_eq!(run(preloaded.env("LD_PRELOAD", shared_library())), "status -1\n");
    let mut linked = build("linked.so", &[static_library().as_os_str()]);
    assert_eq!(run(&mut linked), "status -1\n");
    // A preloaded library does not replace what a plugin binds to itself.
    let mut bound = build("bound.so", &[OsStr::new("-Wl,-Bsymbolic")]);
    let aborted = outcome(bound.env("LD_PRELOAD", shared_library()));
    assert!(!aborted.status.success(), "{aborted:?}");
    assert!(String::from_utf8_lossy(&aborted.stderr).contains("stand-in's own"), "{aborted:?}");
}
