//! Tests of `make install`: the files go to their places, and programs can be built with them through pkg-config.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use common::{empty_folder, make, root, run, write};

const PROGRAM: &str = r#"
#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    return puts(dplx_version()) < 0;
}
"#;

/// Returns the paths of all files and links below a folder, a link with its target.
fn files_in(folder: &Path) -> BTreeSet<String> {
    let listed = run(Command::new("find").arg(folder).args(["!", "-type", "d", "-printf", "%P %l\\n"]));
    listed.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Returns the flags that pkg-config prints.
fn pkg_config(prefix: &Path, package: &str, arguments: &[&str]) -> Vec<String> {
    let said = run(Command::new("pkg-config")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .args(arguments)
        .arg(package));
    said.split_whitespace().map(str::to_owned).collect()
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

#[test]
fn files_are_installed_and_uninstalled() {
    let stage = empty_folder("install-stage");
    let to_stage = format!("DESTDIR={}", stage.display());
    make(&["install", "PREFIX=/usr", &to_stage]);
    let version = version();
    let expected = BTreeSet::from([
        "usr/include/droplet_conn.h".to_owned(),
        "usr/lib/libdroplet_conn.a".to_owned(),
        "usr/lib/libdroplet_conn.so".to_owned(),
        format!("usr/lib/libdroplet_conn.so.0 libdroplet_conn.so.{version}"),
        format!("usr/lib/libdroplet_conn.so.{version}"),
        "usr/lib/libdroplet_conn_needed.o".to_owned(),
        "usr/lib/libdroplet_conn_static.a".to_owned(),
        "usr/lib/pkgconfig/droplet_conn.pc".to_owned(),
        "usr/share/doc/libdroplet_conn/LICENSE".to_owned(),
        "usr/share/doc/libdroplet_conn/THIRD-PARTY.txt".to_owned(),
    ]);
    assert_eq!(files_in(&stage), expected);
    let description = fs::read_to_string(stage.join("usr/lib/pkgconfig/droplet_conn.pc")).expect("installed");
    assert!(description.contains("prefix=/usr\n"), "the staging folder is not in it: {description}");
    make(&["uninstall", "PREFIX=/usr", &to_stage]);
    assert_eq!(files_in(&stage), BTreeSet::new());
}

/// Earlier versions installed the library under the name that a linker script has now.
#[test]
fn linker_scripts_replace_links() {
    let stage = empty_folder("install-over");
    let library = stage.join("usr/lib");
    fs::create_dir_all(&library).expect("a folder");
    symlink("libdroplet_conn.so.0", library.join("libdroplet_conn.so")).expect("a link");
    make(&["install", "PREFIX=/usr", &format!("DESTDIR={}", stage.display())]);
    let magic = fs::read(library.join("libdroplet_conn.so.0")).expect("installed")[..4].to_owned();
    assert_eq!(magic, *b"\x7fELF");
    let script = fs::read_to_string(library.join("libdroplet_conn.so")).expect("a linker script");
    assert!(script.contains("libdroplet_conn.so.0"), "{script}");
}

#[test]
fn standalone_library_is_installed_and_uninstalled() {
    let stage = empty_folder("install-standalone");
    let to_stage = format!("DESTDIR={}", stage.display());
    make(&["install-standalone", "PREFIX=/usr", &to_stage]);
    let version = version();
    let mut expected = BTreeSet::from([
        "usr/include/droplet-3.0/droplet_conn.h".to_owned(),
        "usr/lib/libdroplet.so libdroplet.so.0".to_owned(),
        format!("usr/lib/libdroplet.so.0 libdroplet.so.{version}"),
        format!("usr/lib/libdroplet.so.{version}"),
        "usr/lib/pkgconfig/droplet-3.0.pc".to_owned(),
        "usr/share/doc/libdroplet/LICENSE".to_owned(),
        "usr/share/doc/libdroplet/THIRD-PARTY.txt".to_owned(),
    ]);
    let headers = files_in(&root().join("include/droplet-3.0"));
    expected.extend(headers.into_iter().map(|header| format!("usr/include/droplet-3.0/{header}")));
    assert_eq!(files_in(&stage), expected);
    make(&["uninstall-standalone", "PREFIX=/usr", &to_stage]);
    assert_eq!(files_in(&stage), BTreeSet::new());
}

const DROPLETS_PROGRAM: &str = r#"
#include <droplet.h>
#include <droplet_conn.h>

int main(void) {
    return puts(dpl_status_str(DPL_ENOTDIR)) < 0;
}
"#;

#[test]
fn programs_for_droplet_can_be_built_through_pkg_config() {
    let prefix = empty_folder("install-droplet");
    make(&["install-standalone", &format!("PREFIX={}", prefix.display())]);
    let source = write(&prefix, "program.c", DROPLETS_PROGRAM);
    let program = prefix.join("program");
    run(Command::new("cc")
        .arg(&source)
        .args(pkg_config(&prefix, "droplet-3.0", &["--cflags", "--libs"]))
        .arg("-o")
        .arg(&program));
    let said = run(Command::new(program).env("LD_LIBRARY_PATH", prefix.join("lib")));
    assert_eq!(said, "DPL_ENOTDIR\n");
}

#[test]
fn programs_can_be_built_through_pkg_config() {
    let prefix = empty_folder("install-prefix");
    make(&["install", &format!("PREFIX={}", prefix.display())]);
    let library = prefix.join("lib");
    let source = write(&prefix, "program.c", PROGRAM);
    assert_eq!(pkg_config(&prefix, "droplet_conn", &["--modversion"]), [version()]);

    let shared = prefix.join("shared");
    run(Command::new("cc")
        .arg(&source)
        .args(pkg_config(&prefix, "droplet_conn", &["--cflags", "--libs"]))
        .arg("-o")
        .arg(&shared));
    assert_eq!(run(Command::new(shared).env("LD_LIBRARY_PATH", &library)), version() + "\n");

    let linked = prefix.join("static");
    run(Command::new("cc")
        .arg("-static")
        .arg(&source)
        .args(pkg_config(&prefix, "droplet_conn", &["--static", "--cflags", "--libs"]))
        .arg("-o")
        .arg(&linked));
    assert_eq!(run(&mut Command::new(linked)), version() + "\n");
}
