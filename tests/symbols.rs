//! What the two libraries show to a linker: Droplet's names for the connection subsystem, our own, no more.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{droplets_names, exported_names, root, run, shared_library, static_library};

/// The list that the binary interface is written down in, where it is at hand.
const FUNCTIONS: &str = "../shared/droplet-abi/functions.tsv";

fn is_ours(name: &str) -> bool {
    name.starts_with("dplx_")
}

/// Names of the static library, as nm selects them.
fn static_names(selection: &str) -> BTreeSet<String> {
    let nm =
        run(Command::new("nm").args([selection, "--extern-only", "--format=posix"]).arg(static_library()));
    // A member's own line has one word.
    nm.lines()
        .filter(|line| line.contains(' '))
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect()
}

/// What the dynamic loader is told.
fn dynamic_section() -> String {
    run(Command::new("readelf").arg("-dW").arg(shared_library()))
}

fn assert_only_listed(defined: &BTreeSet<String>) {
    let droplets: BTreeSet<_> = defined.iter().filter(|name| !is_ours(name)).cloned().collect();
    assert_eq!(droplets, droplets_names(), "left: defined, right: exports.txt");
    assert!(defined.contains("dplx_version"), "{defined:?}");
}

#[test]
fn shared_library_defines_the_listed_names_only() {
    assert_only_listed(&exported_names());
}

#[test]
fn static_library_defines_the_listed_names_only() {
    assert_only_listed(&static_names("--defined-only"));
}

#[test]
fn both_libraries_define_the_same_names() {
    assert_eq!(exported_names(), static_names("--defined-only"));
}

#[test]
fn droplets_log_is_asked_for_but_not_needed() {
    let archive = run(Command::new("nm").arg("--undefined-only").arg(static_library()));
    let shared = run(Command::new("nm").args(["-D", "--undefined-only"]).arg(shared_library()));
    for symbols in [archive, shared] {
        let droplets: Vec<_> = symbols.lines().map(str::trim).filter(|line| line.contains(" dpl")).collect();
        assert_eq!(droplets, ["w dpl_log", "w dpl_trace"], "weak, and no others");
    }
}

#[test]
fn names_carry_no_version() {
    assert!(!exported_names().iter().any(|name| name.contains('@')));
    assert!(!dynamic_section().contains("VERDEF"), "as in the original");
}

#[test]
fn shared_library_has_its_name_and_stays_loaded() {
    let dynamic = dynamic_section();
    assert!(dynamic.contains("Library soname: [libdroplet_conn.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn static_library_can_unwind() {
    let sections = run(Command::new("readelf").arg("-SW").arg(static_library()));
    for section in [" .eh_frame ", " .gcc_except_table"] {
        assert!(sections.contains(section), "no{section}: a panic could not be caught");
    }
}

#[test]
fn list_is_that_of_the_binary_interface() {
    let Ok(table) = fs::read_to_string(root().join(Path::new(FUNCTIONS))) else {
        println!("skipped: there is no {FUNCTIONS}");
        return;
    };
    let names: BTreeSet<_> = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|columns| matches!(columns[0], "conn" | "addrlist"))
        .map(|columns| columns[1].to_owned())
        .collect();
    assert_eq!(names.len(), 33);
    assert_eq!(names, droplets_names(), "left: {FUNCTIONS}, right: exports.txt");
}
