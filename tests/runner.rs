//! What `tests-c/run.sh` says about programs that fail, and about runs that are killed.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{empty_folder, outcome, root, write};

/// Makes shell scripts that `run.sh` runs as test programs. Each is a name and what it does.
fn programs(folder: &str, scripts: &[(&str, &str)]) -> PathBuf {
    let out = empty_folder(folder);
    let programs = out.join("3.0/shared");
    fs::create_dir_all(&programs).expect("a folder");
    write(&out, "libdroplet_conn.so.0", "");
    for (name, script) in scripts {
        let program = write(&programs, name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    }
    out
}

/// Runs programs, and returns the exit status of `run.sh` and the lines it printed.
fn run(out: &Path, variables: &[(&str, &str)], names: &[&str]) -> (Option<i32>, Vec<String>) {
    let mut command = Command::new(root().join("tests-c/run.sh"));
    command.env("OUT", out).env("CONN", out).envs([("LAYOUTS", "3.0"), ("MODES", "shared"), ("JOBS", "1")]);
    let output = outcome(command.envs(variables.iter().copied()).args(names));
    let said = String::from_utf8(output.stdout).expect("text");
    (
        output.status.code(),
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect(),
    )
}

fn has_line(said: &[String], begin: &str, end: &str) -> bool {
    said.iter().any(|line| line.starts_with(begin) && line.ends_with(end))
}

/// What an earlier run has left does not count, neither for the killed one nor for those that were not begun.
#[test]
fn run_that_is_killed_has_failed() {
    let out = programs("runner-killed", &[("first", "true"), ("second", "true"), ("third", "true")]);
    let (status, said) = run(&out, &[], &["first", "second", "third"]);
    assert_eq!((status, said.len()), (Some(0), 3), "{said:?}");
    write(&out.join("3.0/shared"), "second", "#!/bin/sh\nkill -KILL $PPID\n");
    write(&out.join("3.0/shared"), "third.status", "0 0\n");
    let (status, said) = run(&out, &[], &["first", "second", "third"]);
    assert_eq!(status, Some(2), "{said:?}");
    assert!(has_line(&said, "first 3.0 shared ok", " s"), "{said:?}");
    for name in ["second", "third"] {
        assert!(has_line(&said, &format!("{name} 3.0 shared FAILED"), "status lost"), "{said:?}");
    }
}

#[test]
fn status_tells_failed_checks_from_other_ends() {
    let out = programs("runner-status", &[("check", "exit 1"), ("crash", "kill -SEGV $$"), ("well", "true")]);
    let (status, said) = run(&out, &[], &["check", "well"]);
    assert!(status == Some(1) && has_line(&said, "check 3.0 shared FAILED", ", status 1"), "{said:?}");
    let (status, said) = run(&out, &[], &["crash", "check", "well"]);
    assert!(status == Some(2) && has_line(&said, "crash 3.0 shared FAILED", ", status 139"), "{said:?}");
    fs::remove_file(out.join("libdroplet_conn.so.0")).expect("it is there");
    assert_eq!(run(&out, &[], &["well"]).0, Some(2));
}

#[test]
fn libraries_are_those_of_the_folder_that_cargo_is_told() {
    let out = programs("runner-folder", &[("well", "true")]);
    let variables = [("CONN", ""), ("CARGO_TARGET_DIR", out.to_str().expect("text"))];
    assert_eq!(run(&out, &variables, &["well"]).0, Some(2), "it has no library");
    fs::create_dir(out.join("lib")).expect("a folder");
    write(&out.join("lib"), "libdroplet_conn.so.0", "");
    assert_eq!(run(&out, &variables, &["well"]).0, Some(0));
}

/// A check may have failed for want of time. What was found in memory counts at once, also in the program itself.
#[test]
fn second_run_is_for_checks_alone() {
    let well_the_second_time =
        |status: &str| format!("[ -e \"$0.ran\" ] || {{ touch \"$0.ran\"; exit {status}; }}");
    let scripts = [("check", well_the_second_time("1")), ("leak", well_the_second_time("9"))];
    let out = programs("runner-again", &scripts.each_ref().map(|(name, script)| (*name, &**script)));
    let (status, said) = run(&out, &[("SANITIZED", "1")], &["check", "leak"]);
    assert_eq!(status, Some(2), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("check 3.0 shared ok")), "{said:?}");
    assert!(has_line(&said, "leak 3.0 shared FAILED", ", status 9"), "{said:?}");
}
