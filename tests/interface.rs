//! Guards what programs rely on: the types of all functions and structures, compared with the description in
//! `tests/data/interface.abi`, and the packager's lists of symbols.
//!
//! The description is that of the headers, which `tests/header.rs` compares with the source, and whose structures the
//! compiler compares with the library's. The library's own debug information has Rust's types, with another description
//! for each compiler.

mod common;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{
    empty_folder, exported_names, names_exported_by, outcome, root, run, standalone_library, write,
};

const DESCRIPTION: &str = "tests/data/interface.abi";

/// Types of the C library, which changes them.
const NOT_OURS: &str = "[suppress_type]\n  name_regexp = ^(_IO_|__?pthread_|pthread_).*$\n";

/// Compiles a library with a variable for each function, whose type is that of the function.
fn interface(folder: &Path, include: &Path) -> PathBuf {
    let names = names_exported_by(&standalone_library());
    let variables = names.iter().map(|name| format!("__typeof__({name}) *interface_of_{name};\n"));
    let source =
        ["#include <droplet.h>\n#include <droplet_conn.h>\n".to_owned()].into_iter().chain(variables);
    let source = write(folder, "interface.c", &source.collect::<String>());
    let library = folder.join("interface.so");
    let include_option = |folder: &Path| format!("-I{}", folder.display());
    run(Command::new("cc")
        .args(["-g", "-shared", "-fPIC", "-w"])
        .args([include_option(include), include_option(&include.join("droplet-3.0"))])
        .args([&source, Path::new("-o"), &library]));
    library
}

/// Returns how a library differs from the description, or None. `options` are those of abidiff(1).
fn difference(library: &Path, options: &[&str]) -> Option<String> {
    let suppressions = write(library.parent().expect("a folder"), "not-ours.ini", NOT_OURS);
    let compared = outcome(
        Command::new("abidiff")
            .args(options)
            .arg("--suppressions")
            .arg(suppressions)
            .arg(root().join(DESCRIPTION))
            .arg(library),
    );
    let text = String::from_utf8_lossy(&compared.stdout).into_owned();
    // Bits 1 and 2 are errors of its own.
    assert_eq!(compared.status.code().map(|code| code & 3), Some(0), "{text}{compared:?}");
    (compared.status.code() != Some(0)).then_some(text)
}

#[test]
fn types_are_those_that_programs_were_built_with() {
    let library = interface(&empty_folder("interface"), &root().join("include"));
    if env::var_os("UPDATE_HEADER").is_some() && !root().join(DESCRIPTION).exists() {
        describe(&library);
    }
    if let Some(changes) = difference(&library, &["--no-added-syms"]) {
        panic!(
            "programs that were built before do not run any more (docs/packaging.md, Soname). If that is wanted, \
             remove {DESCRIPTION} and run make header.\n{changes}"
        );
    }
    if env::var_os("UPDATE_HEADER").is_some() && difference(&library, &[]).is_some() {
        describe(&library);
    }
    if let Some(additions) = difference(&library, &[]) {
        panic!("there are new names: run make header\n{additions}");
    }
}

fn describe(library: &Path) {
    run(Command::new("abidw")
        .args([
            "--no-comp-dir-path",
            "--no-corpus-path",
            "--no-show-locs",
            "--no-elf-needed",
            "--type-id-style",
            "hash",
        ])
        .arg("--out-file")
        .arg(root().join(DESCRIPTION))
        .arg(library));
}

/// The comparison itself sees what breaks programs, and lets pass what does not.
#[test]
fn changes_of_types_are_noticed() {
    let changes = [
        ("droplet_conn.h", "dplx_ctx_set_wait(dpl_ctx_t *ctx,", "dplx_ctx_set_wait(void **ctx,", true),
        ("droplet-3.0/droplet.h", "int n_conn_max;", "int added, n_conn_max;", true),
        ("droplet-3.0/droplet.h", "DPL_EIO = -7", "DPL_EIO = -70", true),
        ("droplet-3.0/droplet.h", "int conn_idle_time;", "unsigned conn_idle_time;", true),
        ("droplet-3.0/droplet.h", "longest connect, in seconds", "longest connect", false),
    ];
    for (header, before, after, breaks) in changes {
        let folder = empty_folder("interface-changed");
        run(Command::new("cp").arg("-r").arg(root().join("include")).arg(&folder));
        let file = folder.join("include").join(header);
        let text = fs::read_to_string(&file).expect("a header");
        assert!(text.contains(before), "{header} has no {before}");
        fs::write(&file, text.replacen(before, after, 1)).expect("a header");
        let found = difference(&interface(&folder, &folder.join("include")), &["--no-added-syms"]);
        assert_eq!(found.is_some(), breaks, "{after}: {found:?}");
    }
}

#[test]
fn packagers_lists_have_the_names_that_are_exported() {
    for (package, exported) in
        [("libdroplet-conn0", exported_names()), ("libdroplet0-rs", names_exported_by(&standalone_library()))]
    {
        let file = format!("packaging/debian/{package}.symbols");
        let list = fs::read_to_string(root().join(&file)).expect("the list is readable");
        let symbols = list.lines().filter_map(|line| line.strip_prefix(' ')?.split('@').next());
        assert_eq!(
            symbols.map(str::to_owned).collect::<BTreeSet<_>>(),
            exported,
            "left: {file}, right: exported"
        );
    }
}
