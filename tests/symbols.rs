//! Tests of the symbols that the libraries define: Droplet's names for the units that each replaces, the library's own
//! names (`dplx_`), and no others.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{
    droplets_names, empty_folder, exported_names, names_exported_by, names_in, root, run, shared_library,
    standalone_library, static_archive, write,
};

/// The functions of Droplet's binary interface, with their units.
const FUNCTIONS: &str = "tests/data/functions.tsv";

fn is_ours(name: &str) -> bool {
    name.starts_with("dplx_")
}

/// Returns names of the static library, with a selection option of nm.
fn static_names(selection: &str) -> BTreeSet<String> {
    let nm =
        run(Command::new("nm").args([selection, "--extern-only", "--format=posix"]).arg(static_archive()));
    // The line of an archive member has one word; skip it.
    nm.lines()
        .filter(|line| line.contains(' '))
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect()
}

/// Returns the dynamic section of a library.
fn dynamic_section(library: &Path) -> String {
    run(Command::new("readelf").arg("-dW").arg(library))
}

fn assert_only_listed(defined: &BTreeSet<String>) {
    let droplets: BTreeSet<_> = defined.iter().filter(|name| !is_ours(name)).cloned().collect();
    assert_eq!(droplets, droplets_names(), "left: defined, right: exports.txt");
    assert!(defined.contains("dplx_version"), "{defined:?}");
}

#[test]
fn shared_library_defines_only_the_listed_names() {
    assert_only_listed(&exported_names());
}

#[test]
fn static_library_defines_only_the_listed_names() {
    assert_only_listed(&static_names("--defined-only"));
}

#[test]
fn both_libraries_define_the_same_names() {
    assert_eq!(exported_names(), static_names("--defined-only"));
}

#[test]
fn standalone_library_defines_the_names_of_both_lists() {
    let mut listed = exported_names();
    listed.extend(names_in("exports-standalone.txt"));
    let defined = names_exported_by(&standalone_library());
    assert_eq!(
        defined, listed,
        "left: defined, right: libdroplet_conn.so's names and exports-standalone.txt"
    );
}

#[test]
fn functions_with_variable_arguments_are_those_of_c() {
    let library = standalone_library();
    let address = |options: &[&str], name: &str| {
        let symbols = run(Command::new("nm").args(options).arg(&library));
        let found = symbols.lines().find_map(|line| Some(line.strip_suffix(name)?.trim().to_owned()));
        // The address, and the kind of the symbol: global or local.
        found.unwrap_or_else(|| panic!("no {name}")).to_lowercase()
    };
    for name in ["log", "trace", "sbuf_add_str_fmt"] {
        let exported = address(&["-D"], &format!(" dpl_{name}"));
        assert_eq!(exported, address(&[], &format!(" droplet_conn_{name}")), "dpl_{name}");
    }
}

/// The tracepoints of a library, each with the number of its arguments, as tracers read them.
fn tracepoints(library: &Path) -> BTreeSet<(String, usize)> {
    let notes = run(Command::new("readelf").arg("-n").arg(library));
    let value = |line: &str, name: &str| line.trim().strip_prefix(name).map(str::trim).map(str::to_owned);
    let tracepoints = notes.split("NT_STAPSDT").skip(1).map(|note| {
        let find = |name: &str| note.lines().find_map(|line| value(line, name)).unwrap_or_default();
        assert_eq!(find("Provider:"), "droplet_conn");
        (find("Name:"), find("Arguments:").split_whitespace().count())
    });
    tracepoints.collect()
}

#[test]
fn libraries_have_the_documented_tracepoints() {
    let document = fs::read_to_string(root().join("docs/observability.md")).expect("readable");
    let section =
        document.split("\n## ").find(|section| section.starts_with("Tracepoints\n")).expect("Tracepoints");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    // "name, port (strings); the fault" are three arguments.
    let documented: BTreeSet<_> = rows
        .map(|(name, rest)| {
            let arguments = rest.trim_end_matches('|').rsplit('|').next().expect("a last column");
            let count = |part: &str| if part.contains("(strings)") { 2 } else { 1 };
            (name.to_owned(), arguments.split(';').map(count).sum::<usize>())
        })
        .collect();
    assert_eq!(documented.len(), 4);
    for library in [shared_library(), standalone_library()] {
        assert_eq!(tracepoints(&library), documented, "left: {}, right: the document", library.display());
    }
}

#[test]
fn references_to_droplets_functions_are_weak() {
    let archive = run(Command::new("nm").arg("--undefined-only").arg(static_archive()));
    let shared = run(Command::new("nm").args(["-D", "--undefined-only"]).arg(shared_library()));
    for symbols in [archive, shared] {
        let droplets: Vec<_> = symbols.lines().map(str::trim).filter(|line| line.contains(" dpl")).collect();
        let dict = ["add", "free", "get_value", "new"].map(|name| format!("w dpl_dict_{name}"));
        let others = ["w dpl_log", "w dpl_req_free", "w dpl_trace"].map(str::to_owned);
        assert_eq!(droplets, [&dict[..], &others].concat(), "weak, and no others");
    }
}

#[test]
fn names_carry_no_version() {
    assert!(!exported_names().iter().any(|name| name.contains('@')));
    assert!(!dynamic_section(&shared_library()).contains("VERDEF"), "as in the original");
}

#[test]
fn shared_libraries_have_a_soname_and_stay_loaded() {
    for (library, name) in
        [(shared_library(), "libdroplet_conn.so.0"), (standalone_library(), "libdroplet.so.0")]
    {
        let dynamic = dynamic_section(&library);
        assert!(dynamic.contains(&format!("Library soname: [{name}]")), "{dynamic}");
        assert!(dynamic.contains("NODELETE"), "{dynamic}");
    }
}

/// The libraries that are needed. Of a C library before 2.34 more are needed. The standard library of Rust 1.85 also
/// needs libm.so.6.
const NEEDED: [&str; 5] =
    ["ld-linux-x86-64.so.2", "libc.so.6", "libcrypto.so.3", "libgcc_s.so.1", "libssl.so.3"];

#[test]
fn shared_libraries_need_no_others_and_look_nowhere_else() {
    for library in [shared_library(), standalone_library()] {
        let dynamic = dynamic_section(&library);
        let needed =
            dynamic.lines().filter_map(|line| line.split_once("Shared library: [")?.1.strip_suffix(']'));
        let needed: BTreeSet<_> = needed.filter(|needed| *needed != "libm.so.6").collect();
        assert_eq!(needed, BTreeSet::from(NEEDED), "{}", library.display());
        assert!(!dynamic.contains("PATH)"), "RPATH or RUNPATH: {dynamic}");
    }
}

#[test]
fn shared_libraries_protect_their_memory() {
    for library in [shared_library(), standalone_library()] {
        let dynamic = dynamic_section(&library);
        assert!(!dynamic.contains("TEXTREL"), "code is written to when it is loaded: {dynamic}");
        assert!(
            dynamic.contains("BIND_NOW"),
            "without it RELRO does not cover the table of functions: {dynamic}"
        );
        let segments = run(Command::new("readelf").arg("-lW").arg(&library));
        let flags_of = |kind: &str| -> Vec<String> {
            let lines = segments.lines().filter(|line| line.trim_start().starts_with(kind));
            // The type, three addresses and two sizes come before the flags, which may be apart, and one column after.
            let columns = lines.map(|line| line.split_whitespace().skip(6).collect::<Vec<_>>());
            columns.map(|flags| flags[..flags.len() - 1].concat()).collect()
        };
        assert_eq!(flags_of("GNU_RELRO"), ["R"], "{segments}");
        assert_eq!(flags_of("GNU_STACK"), ["RW"], "{segments}");
        let loaded = flags_of("LOAD");
        assert!(loaded.contains(&"RE".to_owned()), "{segments}");
        assert!(!loaded.iter().any(|flags| flags.contains('W') && flags.contains('E')), "{segments}");
    }
}

#[test]
fn static_library_can_unwind() {
    let sections = run(Command::new("readelf").arg("-SW").arg(static_archive()));
    for section in [" .eh_frame ", " .gcc_except_table"] {
        assert!(sections.contains(section), "no{section}: panics cannot be caught");
    }
}

#[test]
fn list_has_all_names_of_the_replaced_units() {
    let table = fs::read_to_string(root().join(FUNCTIONS)).expect("the table is readable");
    let names: BTreeSet<_> = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|columns| matches!(columns[0], "conn" | "addrlist" | "httpreply"))
        .map(|columns| columns[1].to_owned())
        .collect();
    assert_eq!(names.len(), 39);
    assert_eq!(names, droplets_names(), "left: {FUNCTIONS}, right: exports.txt");
}

#[test]
fn documented_coverage_is_up_to_date() {
    let table = run(&mut Command::new(root().join("scripts/covered-names.sh")));
    assert!(table.ends_with("|\n") && table.contains("| **all** | 498 |"), "{table}");
    let document = fs::read_to_string(root().join("docs/compatibility.md")).expect("text");
    assert!(document.contains(&table), "run scripts/covered-names.sh --write; it should be\n{table}");
}

/// Also where coverage was measured before, whose folder is `target/coverage`.
#[test]
fn documented_coverage_is_brought_up_to_date() {
    let folder = empty_folder("covered-names");
    let parts =
        ["scripts/covered-names.sh", "scripts/droplet-symbols.tsv", "exports.txt", "exports-standalone.txt"];
    for folder_of_parts in ["scripts", "docs", "target/coverage"] {
        fs::create_dir_all(folder.join(folder_of_parts)).expect("a folder");
    }
    for part in parts {
        fs::copy(root().join(part), folder.join(part)).expect("a copy");
    }
    let written = fs::read_to_string(root().join("docs/compatibility.md")).expect("text");
    let old = written.replace("| **all** | 498 |", "| **all** | 497 |");
    assert_ne!(old, written);
    let document = write(&folder.join("docs"), "compatibility.md", &old);
    run(Command::new(folder.join("scripts/covered-names.sh")).arg("--write"));
    assert_eq!(fs::read_to_string(document).expect("text"), written);
}
