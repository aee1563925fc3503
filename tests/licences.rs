//! `THIRD-PARTY.txt` has the licence of each crate that the libraries contain. `make licences` writes it anew
//! (`UPDATE_LICENCES=1`).

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{root, run};

/// The packages that are the libraries for C, and the command.
const SHIPPED: [&str; 3] = ["libdroplet_conn", "libdroplet", "droplet-conn-command"];

/// What the text begins with.
const BEGINNING: &str = "\
The libraries libdroplet_conn and libdroplet and the command droplet-conn contain code of these Rust crates. Whoever passes
on a binary has to pass on
these texts with it. Where a crate can be had under several licences, they use it under the one below.

They also contain parts of Rust's standard library, which can be had under the MIT licence: Copyright (c) The Rust Project
Contributors. Its text is that of the crates under the MIT licence. The file COPYRIGHT-library.html of the Rust toolchain
lists the crates that the standard library itself contains.
";

/// A crate in the libraries.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
}

/// Returns the crates of others that the libraries contain. Macros only run at build time.
fn crates() -> Vec<Crate> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["tree", "--locked", "--prefix=none", "--edges=normal,no-proc-macro"]);
    cargo.args(["--format={p}\t{l}", "--target=x86_64-unknown-linux-gnu"]);
    SHIPPED.iter().for_each(|library| _ = cargo.args(["--package", library]));
    let listed = run(&mut cargo);
    let parsed = listed.lines().filter_map(|line| {
        let (package, licence) = line.split_once('\t')?;
        // A package of this workspace has its path in parentheses.
        let [name, version] = package.trim_end_matches(" (*)").split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let licence = licence.trim_end_matches(" (*)").to_owned();
        Some(Crate { name: name.to_owned(), version: version.trim_start_matches('v').to_owned(), licence })
    });
    let mut crates: Vec<_> = parsed.collect();
    crates.sort();
    crates.dedup();
    crates
}

/// Returns the folders of all packages, as Cargo has them.
fn folders() -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    let metadata = run(cargo.current_dir(root()).args(["metadata", "--locked", "--format-version=1"]));
    let paths = metadata.split("\"manifest_path\":\"").skip(1);
    paths.filter_map(|rest| Some(Path::new(rest.split('"').next()?).parent()?.to_owned())).collect()
}

/// Returns the name of a licence that the libraries use a crate under, and its text. The shortest one will do.
fn text_of(package: &Crate, folders: &[PathBuf]) -> String {
    let Crate { name, version, licence } = package;
    let folder = folders.iter().find(|folder| folder.ends_with(format!("{name}-{version}")));
    let folder = folder.unwrap_or_else(|| panic!("no source of {name} {version}"));
    let has = |name: &str| licence.split([' ', '/', '(', ')']).any(|word| word == name);
    let files: &[&str] = match () {
        // Crates with one licence have it in LICENSE.
        () if *licence == "MIT" => &["LICENSE-MIT", "LICENSE"],
        () if has("MIT") => &["LICENSE-MIT"],
        // The notice that comes with the terms stands in a file of its own.
        () if has("Apache-2.0") => &["LICENSE", "LICENSE-APACHE"],
        () => panic!("{name}: {licence}: add it to this test, and to deny.toml"),
    };
    let texts = files.iter().filter_map(|file| fs::read_to_string(folder.join(file)).ok());
    let text = texts.collect::<Vec<_>>().join("\n");
    assert!(!text.is_empty(), "{}: none of {files:?}", folder.display());
    // The terms stand, with blanks at line ends removed.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_matches('\n').to_owned()
}

#[test]
fn each_crate_in_the_libraries_has_its_licence_in_the_text() {
    let (crates, folders) = (crates(), folders());
    assert!(crates.len() > 10, "{crates:?}");
    let mut text = BEGINNING.to_owned();
    let line = "=".repeat(80);
    for package in &crates {
        let Crate { name, version, licence } = package;
        let terms = text_of(package, &folders);
        text += &format!("\n{line}\n{name} {version} ({licence})\n{line}\n\n{terms}\n");
    }
    let path = root().join("THIRD-PARTY.txt");
    if env::var_os("UPDATE_LICENCES").is_some() {
        fs::write(&path, &text).expect("writable");
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(present == text, "THIRD-PARTY.txt is not that of Cargo.lock: run make licences");
}
