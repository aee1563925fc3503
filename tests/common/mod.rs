//! What several tests of the finished libraries need.
#![allow(dead_code)] // not everything is used by every test

pub mod loopback;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, Once, PoisonError};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library, built.
pub fn shared_library() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| drop(make(&["all"])));
    root().join("target/lib/libdroplet_conn.so.0")
}

/// The static library, built, as a linker finds it.
pub fn static_library() -> PathBuf {
    shared_library().with_file_name("libdroplet_conn.a")
}

/// The archive that the static library consists of, built.
pub fn static_archive() -> PathBuf {
    shared_library().with_file_name("libdroplet_conn_static.a")
}

/// The shared library that stands in for the whole of Droplet, built.
pub fn standalone_library() -> PathBuf {
    shared_library().with_file_name("standalone/libdroplet.so.0")
}

/// Droplet's names that we define: exports.txt.
pub fn droplets_names() -> BTreeSet<String> {
    names_in("exports.txt")
}

/// The names in a list of the project's.
pub fn names_in(list: &str) -> BTreeSet<String> {
    lines(&fs::read_to_string(root().join(list)).expect("the list is readable"))
}

/// All names that the shared library defines for others.
pub fn exported_names() -> BTreeSet<String> {
    names_exported_by(&shared_library())
}

/// All names that a shared library defines for others.
pub fn names_exported_by(library: &Path) -> BTreeSet<String> {
    lines(&run(Command::new("nm").args(["-D", "--defined-only", "--format=just-symbols"]).arg(library)))
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Runs make, as from a shell of its own; one at a time, since two would build the same file at once.
pub fn make(arguments: &[&str]) -> String {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new("make");
    for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(variable);
    }
    run(command.arg("--silent").arg("-C").arg(root()).args(arguments))
}

/// What a command prints; it has to succeed.
pub fn run(command: &mut Command) -> String {
    let output = outcome(command);
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// How a command ends, and what it prints.
pub fn outcome(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// An empty folder of that name.
pub fn empty_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an earlier run's folder can be removed");
    }
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// A file in a folder.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file can be written");
    file
}
