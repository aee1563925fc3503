//! Layers inside a package: a module uses only those below it, and `unsafe` stands where docs/architecture.md says.
//! Between packages the compiler sees to that.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::root;

/// The folders of crates/client/src, from the lowest.
const CLIENT: [&str; 8] = ["os", "http", "pool", "net", "hosts", "profile", "checkout", "api"];

/// The files and folders of src/abi, from the lowest.
const ABI: [&str; 20] = [
    "memory",
    "layout",
    "sized",
    "last_error",
    "slab",
    "hostent",
    "log_callback",
    "droplet",
    "dictionary",
    "addrlist",
    "context_view",
    "request",
    "uses",
    "models",
    "connection",
    "context",
    "logging",
    "call",
    "bounded_call",
    "owned_context",
];

fn rust_files(of: &Path) -> Vec<PathBuf> {
    if of.is_file() {
        return vec![of.to_owned()];
    }
    let entries = fs::read_dir(of).unwrap_or_else(|error| panic!("{}: {error}", of.display()));
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .filter(|path| path.is_dir() || path.extension().is_some_and(|end| end == "rs"))
        .flat_map(|path| rust_files(&path))
        .collect()
}

/// Returns the modules that a file imports by one of these prefixes.
fn imports(file: &Path, prefixes: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).expect("readable");
    let mut found = Vec::new();
    for prefix in prefixes {
        for rest in text.split(prefix).skip(1) {
            found.push(rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect());
        }
    }
    found
}

/// Checks that the modules of a folder are those of a list: `of_kind` tells which entries of the folder are modules.
fn assert_all_listed(folder: &str, layers: &[&str], of_kind: impl Fn(&Path) -> bool) {
    let entries = fs::read_dir(root().join(folder)).expect("there");
    let paths = entries.map(|entry| entry.expect("readable").path()).filter(|path| of_kind(path));
    let mut modules: Vec<_> = paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    let mut listed: Vec<_> = layers.iter().map(|&layer| layer.to_owned()).collect();
    modules.sort();
    listed.sort();
    assert_eq!(modules, listed, "{folder} and the list of its layers");
}

/// Checks that each module of a folder imports only those before it in the list. Returns the number of imports.
fn assert_downwards(folder: &str, layers: &[&str], prefixes: &[&str]) -> usize {
    let mut count = 0;
    for (height, layer) in layers.iter().enumerate() {
        let folder = root().join(folder);
        let file = folder.join(format!("{layer}.rs"));
        let path = if file.exists() { file } else { folder.join(layer) };
        for file in rust_files(&path) {
            for import in imports(&file, prefixes) {
                let Some(other) = layers.iter().position(|name| *name == import) else { continue };
                assert!(other <= height, "{} uses {import}, which stands above it", file.display());
                count += usize::from(other < height);
            }
        }
    }
    count
}

#[test]
fn folders_of_the_core_use_only_those_below() {
    assert_all_listed("crates/client/src", &CLIENT, Path::is_dir);
    assert!(assert_downwards("crates/client/src", &CLIENT, &["crate::"]) > 50);
}

#[test]
fn files_of_the_boundary_use_only_those_below() {
    assert_all_listed("src/abi", &ABI, |path| !path.ends_with("mod.rs"));
    assert!(assert_downwards("src/abi", &ABI, &["use super::", "crate::abi::"]) > 20);
}

#[test]
fn unsafe_code_of_the_core_stands_in_os() {
    let allowed = root().join("crates/client/src/os");
    for file in rust_files(&root().join("crates/client/src")) {
        let text = fs::read_to_string(&file).expect("readable");
        let has_unsafe = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn")
        });
        assert!(!has_unsafe || file.starts_with(&allowed), "{}", file.display());
    }
}

/// The standard library's cells that are set once are locks that no fork takes into account: a child would wait for a
/// thread that it lacks. Its hash tables ask the kernel for random numbers, perhaps while a lock is held, and panic if they
/// get none.
#[test]
fn shipped_libraries_use_nothing_that_locks_or_asks_the_kernel_in_secret() {
    let folders = ["src", "crates/client/src", "crates/droplet/src"];
    for file in folders.iter().flat_map(|folder| rust_files(&root().join(folder))) {
        let text = fs::read_to_string(&file).expect("readable");
        for name in ["LazyLock", "OnceLock", "Once::new", "HashMap", "HashSet"] {
            assert!(!text.contains(name), "{} has a {name}", file.display());
        }
    }
}
