//! Helpers of the tests of the finished libraries.
#![allow(dead_code)] // a test does not use all of them

pub mod declarations;
pub mod loopback;
pub mod man;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, Once, PoisonError};

/// Returns the folder of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder of what is built, which the Makefile takes from the same variable.
pub fn target_folder() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    root().join(named.unwrap_or_else(|| "target".into()))
}

/// Builds the libraries, and returns the shared one. `scripts/coverage.sh` names the folder of its own.
pub fn shared_library() -> PathBuf {
    if let Some(folder) = env::var_os("DROPLET_TEST_LIBRARIES") {
        return Path::new(&folder).join("libdroplet_conn.so.0");
    }
    static BUILT: Once = Once::new();
    BUILT.call_once(|| drop(make(&["all"])));
    target_folder().join("lib/libdroplet_conn.so.0")
}

/// Returns the static library as a linker finds it: a linker script.
pub fn static_library() -> PathBuf {
    shared_library().with_file_name("libdroplet_conn.a")
}

/// Returns the archive of the static library.
pub fn static_archive() -> PathBuf {
    shared_library().with_file_name("libdroplet_conn_static.a")
}

/// Returns the standalone library, which replaces the whole of Droplet.
pub fn standalone_library() -> PathBuf {
    shared_library().with_file_name("standalone/libdroplet.so.0")
}

/// Returns the command, which is built with the libraries, unless these come from elsewhere.
pub fn command() -> Option<PathBuf> {
    let built = shared_library().with_file_name("../release/droplet-conn");
    built.exists().then_some(built)
}

/// Returns the names of Droplet's that the library defines.
pub fn droplets_names() -> BTreeSet<String> {
    names_in("exports.txt")
}

/// Returns the names in a file, one a line.
pub fn names_in(list: &str) -> BTreeSet<String> {
    lines(&fs::read_to_string(root().join(list)).expect("the list is readable"))
}

/// Returns all names that the shared library exports.
pub fn exported_names() -> BTreeSet<String> {
    names_exported_by(&shared_library())
}

/// Returns all names that a shared library exports.
pub fn names_exported_by(library: &Path) -> BTreeSet<String> {
    lines(&run(Command::new("nm").args(["-D", "--defined-only", "--format=just-symbols"]).arg(library)))
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Runs make as from a shell. One make at a time runs, because two could build the same file.
pub fn make(arguments: &[&str]) -> String {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    run(make_command().args(arguments))
}

/// Returns a command that runs make as from a shell.
pub fn make_command() -> Command {
    let mut command = Command::new("make");
    for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    command.arg("--silent").arg("-C").arg(root());
    command
}

/// Runs a command, which must succeed, and returns its output.
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

/// Runs a command, and returns its exit status and its output.
pub fn outcome(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Makes an empty folder of this name.
pub fn empty_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an earlier run's folder can be removed");
    }
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// Writes a file in a folder, and returns its path.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file can be written");
    file
}

/// Returns whether a program is installed. scripts/setup.sh installs missing programs where it can.
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        println!("skipped: there is no {program}");
    }
    found
}

/// Returns the paths of all files and links below a folder, a link with its target.
pub fn files_in(folder: &Path) -> BTreeSet<String> {
    let listed = run(Command::new("find").arg(folder).args(["!", "-type", "d", "-printf", "%P %l\\n"]));
    listed.lines().map(|line| line.trim_end().to_owned()).collect()
}
