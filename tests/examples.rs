//! Tests of the examples: each runs against a dead host and a server, over http and https.

mod common;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::loopback::{DeadHost, Server, certificate_in};
use common::{empty_folder, is_installed, outcome, root, run, shared_library, standalone_library};

/// Runs an example over http and over https, and checks its output. `program` is the command without arguments.
fn assert_output(name: &str, program: impl Fn() -> Command) {
    let certificate = certificate_in(&empty_folder(&format!("example-{name}")));
    let servers = [Server::plain(), Server::tls(&certificate)];
    let dead = DeadHost::new();
    for (server, https) in servers.iter().zip([None, Some("https")]) {
        let mut command = program();
        command.arg(format!("{},{}", dead.address, server.address)).args(https);
        let printed = run(with_library(&mut command).env("SSL_CERT_FILE", &certificate));
        assert_eq!(printed, expected(dead.address, server.address), "{name} {https:?}");
        assert_eq!(server.accepted(), 1, "{name}: both requests use one connection");
    }
}

fn expected(dead: SocketAddr, alive: SocketAddr) -> String {
    format!(
        "1 from {alive}, reused 0 times\n\
         2 from {alive}, reused 1 times\n\
         created 1, reused 1, idle 1\n\
         error: connect to {dead}: Connection refused\n"
    )
}

/// Lets a command find the library and its header, as after an installation.
fn with_library(command: &mut Command) -> &mut Command {
    let library = shared_library().parent().expect("a folder").to_owned();
    command
        .env("LD_LIBRARY_PATH", &library)
        .env("LIBRARY_PATH", &library)
        .env("CPATH", root().join("include"))
}

fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

#[test]
fn python() {
    if is_installed("python3") {
        assert_output("python", || {
            let mut command = Command::new("python3");
            command.arg("-B").arg(example("python/example.py"));
            command
        });
    }
}

/// The library's own interface is the same in the standalone library.
#[test]
fn python_with_the_standalone_library() {
    if !is_installed("python3") {
        return;
    }
    let folder = empty_folder("example-standalone");
    symlink(standalone_library(), folder.join("libdroplet_conn.so.0")).expect("a link");
    let (server, dead) = (Server::plain(), DeadHost::new());
    let output = Command::new("python3")
        .arg("-B")
        .arg(example("python/example.py"))
        .arg(format!("{},{}", dead.address, server.address))
        .env("LD_LIBRARY_PATH", &folder)
        .output()
        .expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the library prints nothing");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected(dead.address, server.address));
}

/// What Python expects of a file: buffers around it, any object of bytes, and an end that comes once.
const CONNECTION_AS_FILE: &str = r#"
import io, sys
from http.client import HTTPResponse
from droplet import Connection, Context

context = Context(f"host = {sys.argv[1]}")
with Connection(context) as connection:
    for count in (1, 2):
        parts = [b"GET / HTTP/1.1\r\n", bytearray(b"Host: x\r\n"), memoryview(b"X: y\r\n"), b""]
        assert [connection.write(part) for part in parts] == [16, 9, 6, 0]
        writer = io.BufferedWriter(connection)
        writer.write(b"\r\n")
        writer.flush()
        writer.detach()
        assert connection.read(0) == b""
        response = HTTPResponse(connection)
        response.begin()
        assert response.read() == b"%d\n" % count
    connection.reply_complete()
connection.close()
assert connection.closed and context.statistics().idle == 1
for use in (lambda: connection.read(1), lambda: connection.write(b"x"), connection.__enter__):
    try:
        use()
        sys.exit("a closed connection can be used")
    except (OSError, ValueError):
        pass
again = Connection(context)
assert again.info().reused == 1 and context.statistics().in_use == 1
del again
assert context.statistics().in_use == 0
"#;

#[test]
fn python_connections_are_files() {
    if is_installed("python3") {
        let mut command = Command::new("python3");
        command.args(["-B", "-c", CONNECTION_AS_FILE, &Server::plain().address.to_string()]);
        with_library(&mut command).env("PYTHONPATH", example("python"));
        let output = outcome(&mut command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn python_fetch() {
    if !is_installed("python3") {
        return;
    }
    let certificate = certificate_in(&empty_folder("example-fetch"));
    let dead = DeadHost::new().address;
    for (scheme, server) in [("http", Server::plain()), ("https", Server::tls(&certificate))] {
        let fetch = |hosts: &str| {
            let mut command = Command::new("python3");
            command.arg(example("python/fetch.py")).arg(format!("{scheme}://{hosts}/"));
            with_library(&mut command).env("SSL_CERT_FILE", &certificate);
            command
        };
        let printed = run(&mut fetch(&format!("{dead},{}", server.address)));
        assert_eq!(printed, "1\n", "{scheme}");
        let failed = fetch(&dead.to_string()).output().expect("it runs");
        let text = format!("connect to {dead}: Connection refused\n");
        assert_eq!((failed.status.code(), String::from_utf8(failed.stderr)), (Some(1), Ok(text)), "{scheme}");
    }
}

/// The program that the README begins with, built as it says there.
#[test]
fn c_fetches_in_a_few_lines() {
    let folder = empty_folder("example-c-program");
    let (program, certificate) = (folder.join("fetch"), certificate_in(&folder));
    let mut build = Command::new("cc");
    build.args(["-Wall", "-Wextra", "-Werror"]).arg(example("c/fetch.c"));
    run(with_library(build.args(["-ldroplet_conn", "-o"]).arg(&program)));
    let dead = DeadHost::new().address;
    for (https, server) in [(false, Server::plain()), (true, Server::tls(&certificate))] {
        let fetch = |hosts: &str| {
            let mut command = Command::new(&program);
            command.arg(format!("use_https = {https}\nhost = {hosts}"));
            with_library(&mut command).env("SSL_CERT_FILE", &certificate);
            command
        };
        let printed = run(&mut fetch(&format!("{dead}, {}", server.address)));
        assert_eq!(printed, "1\n", "https {https}");
        let failed = fetch(&dead.to_string()).output().expect("it runs");
        let text = format!("connect to {dead}: Connection refused\n");
        assert_eq!((failed.status.code(), String::from_utf8(failed.stderr)), (Some(1), Ok(text)));
    }
}

#[test]
fn documents_show_what_is_run() {
    for (document, program) in [("README.md", "c/fetch.c"), ("docs/other-languages.md", "python/fetch.py")] {
        let text = fs::read_to_string(root().join(document)).expect("readable");
        let fetch = fs::read_to_string(example(program)).expect("readable");
        assert!(text.contains(&fetch), "{document} shows another examples/{program}");
    }
}

#[test]
fn node() {
    if !is_installed("node") {
        return;
    }
    if !example("node/node_modules/koffi").exists() {
        println!("skipped: koffi is missing: run scripts/setup.sh test");
        return;
    }
    assert_output("node", || {
        let mut command = Command::new("node");
        command.arg(example("node/example.js"));
        command
    });
}

#[test]
fn go() {
    if !is_installed("go") {
        return;
    }
    let program = empty_folder("example-go-program").join("example");
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(example("go"))
        .env("GOFLAGS", "-buildvcs=false")
        // The default cache would be in the home directory.
        .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    run(with_library(&mut build));
    assert_output("go", || Command::new(&program));
}

#[test]
fn cpp() {
    let program = empty_folder("example-cpp-program").join("example");
    let mut build = Command::new("c++");
    build.args(["-std=c++17", "-Wall", "-Wextra", "-Werror"]).arg(example("cpp/example.cpp"));
    run(with_library(build.args(["-ldroplet_conn", "-o"]).arg(&program)));
    assert_output("cpp", || Command::new(&program));
}

#[test]
fn rust() {
    run(Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--example", "rust"])
        .current_dir(root()));
    let tests = env::current_exe().expect("this test is a program");
    let folder = tests.parent().and_then(Path::parent).expect("it lies in deps");
    let program = folder.join("examples/rust");
    assert_output("rust", || Command::new(&program));
    let (server, dead) = (Server::plain(), DeadHost::new());
    let mut verbose = Command::new(&program);
    verbose.arg(format!("{},{}", dead.address, server.address)).env("DPLX_STATS", "1");
    let printed = String::from_utf8(outcome(&mut verbose).stderr).expect("text");
    assert!(printed.contains("1 reused a connection"), "{printed}");
    assert!(printed.contains("(1 refused)"), "{printed}");
}

#[test]
fn programs_are_short() {
    for program in
        ["python/example.py", "node/example.js", "go/example.go", "cpp/example.cpp", "rust/main.rs"]
    {
        let lines = fs::read_to_string(example(program)).expect("readable").lines().count();
        assert!(lines < 60, "{program} has {lines} lines");
    }
}
