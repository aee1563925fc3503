//! Running programs with the library.

mod common;

use std::fs;
use std::process::Command;

use common::{Folder, LIBRARY, assert_says, droplet_conn, native, outcome};

/// Prints the preloaded libraries, its name and its argument, and ends with a status of its own.
const SHOWS: &str = "#!/bin/sh\necho \"preloaded $LD_PRELOAD, called $0 with $1\"\nexit 7\n";

const LOADED: &str = "loaded, stats -, file -\n";

#[test]
fn program_runs_with_the_library_first() {
    let folder = Folder::new("run");
    let (library, script) = (folder.conn(), folder.script("shows", SHOWS));
    let (library, script) = (library.display(), script.display());
    let named = || {
        let mut command = droplet_conn();
        command.arg(format!("--library={library}")).arg(script.to_string());
        command
    };
    let found = outcome(named().arg("--stats"));
    assert_eq!(found.status, 7);
    assert_eq!(found.stdout, format!("{LOADED}preloaded {library}, called {script} with --stats\n"));
    assert_eq!(found.stderr, "");
    let found = outcome(named().env("LD_PRELOAD", "libm.so.6"));
    assert!(found.stdout.contains(&format!("preloaded {library}:libm.so.6,")), "{found:?}");
}

#[test]
fn program_is_found_as_by_a_shell() {
    let folder = Folder::new("path");
    let library = folder.conn();
    folder.script("bin/check", "#!/bin/sh\necho \"called $0\"\n");
    folder.write("other/check", "not to be run");
    let path = format!("{}:{}:/bin:/usr/bin", folder.file("other").display(), folder.file("bin").display());
    let found = outcome(droplet_conn().env("PATH", path).env("DPLX_LIBRARY", library).args(["--", "check"]));
    assert_says(&found, 0, &format!("called {}\n", folder.file("bin/check").display()));
}

#[test]
fn statistics_are_asked_for() {
    let folder = Folder::new("stats");
    let library = folder.conn();
    let run = |option: &str| {
        outcome(droplet_conn().current_dir(&folder.0).env("DPLX_LIBRARY", &library).args([option, "true"]))
    };
    assert_eq!(run("--stats").stdout, "loaded, stats 1, file -\n");
    let file = folder.file("x.%p.prom");
    assert_eq!(run("--stats=x.%p.prom").stdout, format!("loaded, stats -, file {}\n", file.display()));
}

#[test]
fn library_is_found_beside_the_command() {
    let folder = Folder::new("beside");
    folder.conn();
    fs::create_dir(folder.file("bin")).expect("a folder");
    let command = folder.file("bin/droplet-conn");
    fs::copy(env!("CARGO_BIN_EXE_droplet-conn"), &command).expect("a copy");
    let run = || outcome(Command::new(&command).env_remove("DPLX_LIBRARY").arg("true"));
    assert_says(&run(), 0, LOADED);
    // An empty variable names no file.
    let mut empty = Command::new(&command);
    assert_says(&outcome(empty.env("DPLX_LIBRARY", "").arg("true")), 0, LOADED);
    fs::create_dir_all(folder.file("lib/x86_64-linux-gnu")).expect("a folder");
    fs::rename(
        folder.file("lib/libdroplet_conn.so.0"),
        folder.file("lib/x86_64-linux-gnu/libdroplet_conn.so.0"),
    )
    .expect("one file system");
    assert_says(&run(), 0, LOADED);
    // The loader's own places come last.
    fs::rename(folder.file("lib/x86_64-linux-gnu"), folder.file("elsewhere")).expect("one file system");
    assert_says(&run(), 125, "libdroplet_conn.so.0 was not found beside this command or by the loader");
    let mut command = Command::new(&command);
    assert_says(&outcome(command.env("LD_LIBRARY_PATH", folder.file("elsewhere")).arg("true")), 0, LOADED);
}

#[test]
fn wrong_libraries_are_refused() {
    let folder = Folder::new("wrong");
    let script = folder.write("libdroplet_conn.so", "INPUT(libdroplet_conn.so.0)\n");
    let other = folder.library("other.so", "other.so", LIBRARY, &[], &[]);
    let blank = folder.write("a folder/libdroplet_conn.so.0", "");
    let expanded = folder.library("$ORIGIN/x.so", "libdroplet_conn.so.0", LIBRARY, &[], &[]);
    let missing = folder.file("missing.so");
    for (library, reason) in [
        (&script, "it is no shared library; preload libdroplet_conn.so.0"),
        (&other, "it is not libdroplet_conn.so.0"),
        (&blank, "takes blanks and colons in LD_PRELOAD as separators"),
        (&expanded, "the loader replaces names after a $ in LD_PRELOAD"),
        (&missing, "No such file"),
    ] {
        let found = outcome(droplet_conn().env("DPLX_LIBRARY", library).args(["echo", "run"]));
        assert_says(&found, 125, reason);
        assert!(
            !found.stdout.contains("run") && found.stderr.contains(&library.display().to_string()),
            "{found:?}"
        );
    }
}

#[test]
fn failures_have_the_status_of_env() {
    let folder = Folder::new("failures");
    let library = folder.conn();
    let run = |words: &[&str]| outcome(droplet_conn().env("DPLX_LIBRARY", &library).args(words));
    let plain = folder.write("plain", "");
    let script = folder.script("script", "#!/no/such/interpreter\n");
    let empty = folder.script("empty", "");
    let name = |path: &std::path::Path| path.display().to_string();
    assert_says(
        &run(&["no-such-program-here"]),
        127,
        "droplet-conn: no-such-program-here: not found in PATH",
    );
    assert_says(&run(&["/no/such/program"]), 127, "/no/such/program: No such file");
    assert_says(&run(&[&name(&script)]), 127, "its interpreter /no/such/interpreter: No such file");
    assert_says(&run(&["/"]), 126, "/: it is a directory");
    assert_says(&run(&[&name(&plain)]), 126, "plain: Permission denied");
    // execvp(3) has a shell run what is no program.
    assert_says(&run(&[&name(&empty)]), 0, LOADED);
    assert_says(&run(&[]), 125, "no program is named");
    assert_says(&run(&["--no-such-option", "true"]), 125, "--no-such-option");
    assert_says(&run(&["--library=", "true"]), 125, "--library: its file has no name");
    assert_says(&run(&["--stats=", "true"]), 125, "--stats: its file has no name");
    for option in ["-h, --help ", "-V, --version "] {
        assert_says(&run(&["--help"]), 0, option);
    }
    assert_says(&run(&["--version"]), 0, concat!("droplet-conn ", env!("CARGO_PKG_VERSION")));
}

/// A program that cannot be preloaded runs, since it may start others; the library's absence is said.
#[test]
fn programs_without_effect_run_with_a_warning() {
    let folder = Folder::new("static");
    let library = folder.conn();
    let source = "#include <stdio.h>\nint main(void) { return puts(\"ran\") < 0; }";
    for flags in [&["-static"][..], &["-static-pie"]] {
        let program = folder.compile("static", source, flags, &[]);
        let found = outcome(droplet_conn().env("DPLX_LIBRARY", &library).arg(&program));
        assert_says(&found, 0, "ran\n");
        assert_says(&found, 0, "static: the library has no effect: it is linked statically");
    }
}

/// The system and env(1) decide which program is the interpreter of a script. The command only guesses.
#[test]
fn scripts_run_that_run_without_the_command() {
    let folder = Folder::new("scripts");
    let library = folder.conn();
    for line in [
        "#!/usr/bin/env -S -u FOO sh",
        "#!/usr/bin/env -S \"FOO=a b\" sh",
        "#!/usr/bin/env -S -C /tmp sh",
        "#!/usr/bin/env -S PATH=/bin:/usr/bin sh",
        "#!",
        "#! ",
        "#!sh",
    ] {
        let script = folder.script("script", &format!("{line}\necho ran\nexit 3\n"));
        // Where the interpreter without a folder is.
        let run =
            |command: &mut Command| outcome(command.current_dir("/bin").env("PATH", "/usr/bin").arg(&script));
        // As execvp(3) does.
        let alone = run(Command::new("sh").args(["-c", "\"$1\"", "sh"]));
        let found = run(droplet_conn().env("DPLX_LIBRARY", &library));
        assert_says(&alone, 3, "ran\n");
        assert_says(&found, 3, "ran\n");
        assert_eq!(found.stderr, "", "{line}");
    }
    let lost = folder.script("lost", "#!/usr/bin/env no-such-program-here\n");
    assert_says(&outcome(droplet_conn().env("DPLX_LIBRARY", &library).arg(lost)), 127, "env: ");
}

/// Where programs are emulated, so is this one.
#[test]
fn compiled_program_runs_with_the_library() {
    let folder = Folder::new("compiled");
    let library = folder.conn();
    let program = folder.compile("program", "int main(int argc, char **argv) { return argc; }", &[], &[]);
    let run = native(&program);
    let mut command = droplet_conn();
    command.arg("--library").arg(&library).arg(run.get_program()).args(run.get_args());
    assert_says(&outcome(command.args(["x", "y"])), 3, LOADED);
}
