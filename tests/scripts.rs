//! What scripts do where a tool is missing. Tools that they call are replaced.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{empty_folder, outcome, root, write};

/// Puts a shell script in the place of a tool.
fn replace(tools: &Path, tool: &str, script: &str) {
    let file = write(tools, tool, &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
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
