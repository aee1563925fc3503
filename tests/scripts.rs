//! What scripts do where something is missing, and when they are stopped. Tools that they call are replaced.

mod common;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use common::{empty_folder, outcome, root, run, write};

/// Puts a shell script in the place of a tool.
fn replace(tools: &Path, tool: &str, script: &str) {
    let file = write(tools, tool, &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
}

/// Stops a script with a signal while it waits for a tool.
fn stop(mut script: Child, signal: &str, tool_runs: &Path) -> Option<i32> {
    while !tool_runs.exists() {
        assert!(script.try_wait().expect("its status").is_none(), "it did not call the tool");
        thread::sleep(Duration::from_millis(10));
    }
    // The shell's own kill: a small system has no other.
    run(Command::new("sh").args(["-c", "kill -s $1 $2", "sh", signal, &script.id().to_string()]));
    script.wait().expect("its status").code()
}

/// A shell that a signal ends runs nothing at its end, if it is dash.
#[test]
fn scratch_folders_go_when_a_script_is_stopped() {
    let folder = empty_folder("scripts-stopped");
    let (tools, runs) = (folder.join("tools"), folder.join("runs"));
    fs::create_dir(&tools).expect("a folder");
    for tool in ["tar", "cc", "ld", "rpmbuild"] {
        replace(&tools, tool, &format!("touch '{}'\nexec sleep 0.3", runs.display()));
    }
    let path = format!("{}:{}", tools.display(), env::var("PATH").expect("text"));
    let archive = write(&folder, "droplet-conn-1.tar.xz", "");
    let [archive, to] = [archive.as_path(), &folder].map(|file| file.to_str().expect("text"));
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        for call in [
            vec!["packaging/dist.sh", to, "libdroplet"],
            vec!["packaging/deb.sh", archive, to],
            vec!["packaging/rpm.sh", archive, to],
            vec!["scripts/linker-scripts.sh", "exports.txt", to],
            vec!["scripts/static-library.sh", archive, "exports.txt", "output.a"],
        ] {
            let scratch = empty_folder("scripts-stopped-scratch");
            let _ = fs::remove_file(&runs);
            // Whoever runs the tests may ignore these signals, and a shell cannot undo that.
            let mut script = Command::new("env");
            script.arg("--default-signal=INT,TERM,HUP").arg(root().join(call[0]));
            script.args(&call[1..]).current_dir(root()).env("PATH", &path).env("TMPDIR", &scratch);
            script.env("CC", "cc").env("LD", "ld");
            let ended = stop(script.spawn().expect("it starts"), signal, &runs);
            assert_eq!(ended, Some(status), "{signal} {call:?}");
            assert_eq!(fs::read_dir(&scratch).expect("a folder").count(), 0, "{signal} {call:?}");
        }
    }
}

/// The packages that are missing are for the user to find; a tool of Cargo's can be installed anywhere.
#[test]
fn tools_of_cargo_are_installed_also_without_dpkg() {
    let folder = empty_folder("scripts-setup");
    replace(&folder, "cargo", "echo \"cargo $*\" >&2");
    replace(&folder, "cc", "");
    replace(&folder, "grep", "exit 1");
    let mut setup = Command::new("/bin/sh");
    setup.arg(root().join("scripts/setup.sh")).arg("licences").current_dir(&folder).env("PATH", &folder);
    let output = outcome(&mut setup);
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text")).concat();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("not Debian: install what these Debian packages contain: binutils"), "{said}");
    assert!(said.contains("cargo install --quiet --locked --root target/tools cargo-deny@"), "{said}");
}

/// Such a mutation would be found by any failure.
#[test]
fn mutation_has_to_say_what_finds_it() {
    let folder = empty_folder("scripts-mutations").join("crates/simulation");
    fs::create_dir_all(folder.join("mutations")).expect("a folder");
    fs::copy(root().join("crates/simulation/mutations.sh"), folder.join("mutations.sh")).expect("a copy");
    write(&folder.join("mutations"), "silent.patch", "found by:\n--- a/x\n+++ b/x\n");
    let output = outcome(&mut Command::new(folder.join("mutations.sh")));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("silent.patch has no line \"found by: WHAT\""),
        "{said}"
    );
}
