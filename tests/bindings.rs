//! Tests of preloading: the dynamic loader binds the calls of the connection subsystem to this library and no others, and
//! programs without Droplet behave as before.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{droplets_names, empty_folder, exported_names, make, outcome, root, run, shared_library};

/// A binding by the loader: the use of `name` in the file `from` is bound to the file `to`.
struct Binding {
    from: String,
    to: String,
    name: String,
}

/// Parses a line `binding file FROM [0] to TO [0]: normal symbol `NAME' [VERSION]`.
fn binding(line: &str) -> Option<Binding> {
    let (_, line) = line.split_once("binding file ")?;
    let (files, symbol) = line.split_once(": normal symbol `")?;
    let (from, to) = files.split_once(" to ")?;
    let file = |text: &str| Some(Path::new(text.split_once(" [")?.0).file_name()?.to_str()?.to_owned());
    Some(Binding { from: file(from)?, to: file(to)?, name: symbol.split_once('\'')?.0.to_owned() })
}

/// Starts a program of tests-c with the library preloaded, and returns all bindings.
fn bindings_of(layout: &str, program: &str) -> Vec<Binding> {
    let trace = empty_folder(&format!("bindings-{layout}")).join("trace");
    let path = built_program(layout, program);
    run(Command::new(path)
        .env("LD_PRELOAD", shared_library())
        .env("LD_BIND_NOW", "1")
        .env("LD_DEBUG", "bindings")
        .env("LD_DEBUG_OUTPUT", &trace)
        .env("DROPLET_TEST_CASE", "connp_may_be_null"));
    let traces = fs::read_dir(trace.parent().expect("it is in a folder")).expect("the loader wrote there");
    let first = traces
        .map(|trace| trace.expect("readable").path())
        .min_by_key(|trace| trace.extension().and_then(|pid| pid.to_str()?.parse::<u64>().ok()))
        .expect("the loader wrote a trace");
    fs::read_to_string(first).expect("text").lines().filter_map(binding).collect()
}

fn built_program(layout: &str, program: &str) -> PathBuf {
    make(&["c-programs"]);
    root().join("target/tests-c").join(layout).join("preload").join(program)
}

/// Returns the names that the stand-in for Droplet calls through the dynamic symbol table.
fn names_the_host_uses(layout: &str) -> BTreeSet<String> {
    let host = root().join("target/tests-c").join(layout).join("libdroplet.so.0");
    let relocations = run(Command::new("readelf").arg("-rW").arg(host));
    relocations.lines().filter_map(|line| Some(line.split_whitespace().nth(4)?.to_owned())).collect()
}

fn assert_bound_as_documented(layout: &str) {
    let ours = exported_names();
    let bindings = bindings_of(layout, "checkout");
    for Binding { from, to, name } in &bindings {
        if ours.contains(name) {
            assert_eq!(to, "libdroplet_conn.so.0", "{name}, used by {from}");
        } else if name.starts_with("dpl_") {
            assert_eq!(to, "libdroplet.so.0", "{name}, used by {from}");
        }
    }
    let bound = |from: &str, name: &str| bindings.iter().any(|it| it.from == from && it.name == name);
    let uses: Vec<_> = names_the_host_uses(layout).intersection(&droplets_names()).cloned().collect();
    assert!(uses.iter().any(|name| name == "dpl_conn_pool_init"), "the stand-in makes pools: {uses:?}");
    for name in uses {
        assert!(bound("libdroplet.so.0", &name), "the stand-in's own use of {name} is not in the trace");
    }
    assert!(bound("checkout", "dpl_try_connect") && bound("checkout", "dpl_ctx_new"), "the program's calls");
    assert!(bound("libdroplet_conn.so.0", "dpl_log"), "our log lines go through the stand-in");
}

#[test]
fn only_calls_of_the_connection_subsystem_are_bound_to_this_library() {
    assert_bound_as_documented("3.0");
    assert_bound_as_documented("bareos");
}

/// Runs a program with and without the library, and compares its output and its exit status.
fn assert_unchanged(program: &str, arguments: &[&str]) {
    let command = || {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root());
        command
    };
    let alone = outcome(&mut command());
    let preloaded = outcome(command().env("LD_PRELOAD", shared_library()));
    assert_eq!(alone, preloaded, "{program} {arguments:?}");
}

#[test]
fn programs_without_droplet_behave_as_before() {
    assert_unchanged("/bin/true", &[]);
    assert_unchanged("/bin/false", &[]);
    assert_unchanged("ls", &["-l", "src"]);
    assert_unchanged("ls", &["no such file"]);
    assert_unchanged("sh", &["-c", "echo out; echo err >&2; (exit 3); exit $?"]);
    // Descriptors, signal dispositions and threads of a running process.
    assert_unchanged("sh", &["-c", "ls /proc/self/fd; exit 7"]);
    assert_unchanged("grep", &["-E", "^(Sig[PBIC]|Threads|Umask)", "/proc/self/status"]);
    // SIGPIPE still kills a writer whose reader is gone.
    assert_unchanged("bash", &["-c", "yes | head -n 1; echo ${PIPESTATUS[0]}"]);
}
