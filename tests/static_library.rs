//! The static library in one program with another static library in Rust. Both contain the standard library, and both can
//! catch a panic.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{empty_folder, root, run, static_library, write};

const OTHER: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn other_catches_panics() -> bool {
    std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("caught"))).is_err()
}
"#;

const PROGRAM: &str = r#"
#include <droplet_conn.h>
#include <stdbool.h>
#include <stdio.h>

bool other_catches_panics(void);

int main(void) {
    dpl_addrlist_t *hosts = dpl_addrlist_create_from_str("80", "127.0.0.1;[::1]:81");
    unsigned count = dpl_addrlist_count(hosts);

    dpl_addrlist_free(hosts);
    printf("%u hosts, panics are %scaught\n", count, other_catches_panics() ? "" : "not ");
    return 0;
}
"#;

/// Builds the other library.
fn other_library(folder: &Path) -> PathBuf {
    let library = folder.join("libother.a");
    let source = write(folder, "other.rs", OTHER);
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    run(Command::new(rustc)
        .args(["--edition=2024", "--crate-type=staticlib", "-o"])
        .arg(&library)
        .arg(source));
    library
}

/// Hides the names of a library with the script that this project's library is made with.
fn with_other_names_hidden(folder: &Path, library: &Path) -> PathBuf {
    let finished = folder.join("finished/libother.a");
    let names = write(folder, "names", "other_catches_panics\n");
    run(Command::new(root().join("scripts/static-library.sh")).args([library, &names, &finished]));
    finished
}

fn link_and_run(folder: &Path, libraries: [&Path; 2]) -> String {
    let program = folder.join("program");
    run(Command::new("cc")
        .arg("-I")
        .arg(root().join("include"))
        .arg(write(folder, "program.c", PROGRAM))
        .args(libraries)
        .args(["-lssl", "-lcrypto", "-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program));
    run(&mut Command::new(program))
}

#[test]
fn two_rust_libraries_can_be_linked_into_one_program() {
    let folder = empty_folder("static_library");
    let (ours, other) = (static_library(), other_library(&folder));
    let finished = with_other_names_hidden(&folder, &other);
    for libraries in [[&ours, &other], [&other, &ours], [&ours, &finished], [&finished, &ours]] {
        let printed = link_and_run(&folder, libraries.map(PathBuf::as_path));
        assert_eq!(printed, "2 hosts, panics are caught\n", "{libraries:?}");
    }
}
