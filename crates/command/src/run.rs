//! Runs a program with the library preloaded.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use crate::elf::Object;
use crate::library;
use crate::preload;
use crate::program;

/// The exit status of env(1) for a failure of its own.
pub const FAILED: u8 = 125;

/// Statistics that the library is asked for.
pub enum Statistics {
    /// A table on stderr, whenever the program frees a context, or exits.
    Table,
    /// A file for Prometheus, while the program runs.
    File(PathBuf),
}

/// Why no program runs.
pub enum Error {
    /// The library was not found, or is none.
    Library(String),
    /// There is no such program.
    NotFound(String),
    /// The program cannot be run.
    NotExecutable(String),
}

impl Error {
    /// Returns the exit status, which is that of env(1).
    pub fn status(&self) -> u8 {
        match self {
            Error::Library(_) => FAILED,
            Error::NotExecutable(_) => 126,
            Error::NotFound(_) => 127,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Library(text) | Error::NotFound(text) | Error::NotExecutable(text)) = self;
        f.write_str(text)
    }
}

impl From<program::Error> for Error {
    fn from(error: program::Error) -> Error {
        match error {
            program::Error::NotFound(text) => Error::NotFound(text),
            program::Error::NotExecutable(text) => Error::NotExecutable(text),
        }
    }
}

/// Becomes the program. Returns only if that fails.
pub fn run(
    library: Option<PathBuf>,
    statistics: Option<Statistics>,
    name: &OsString,
    arguments: Vec<OsString>,
) -> Error {
    let library = match library::find(library) {
        Ok(library) => library,
        Err(text) => return Error::Library(text),
    };
    let path = match program::find(name) {
        Ok(path) => path,
        Err(error) => return error.into(),
    };
    let interpreted = program::interpreted(&path);
    // What a script starts is not known, so an interpreter without a loader may still pass the library on.
    if interpreted.as_ref().is_ok_and(|program| !program.is_script) {
        warn(&path);
    }
    let mut command = Command::new(&path);
    command.arg0(name).args(arguments).env("LD_PRELOAD", preloaded(library.path));
    match statistics {
        Some(Statistics::Table) => _ = command.env("DPLX_STATS", "1"),
        // The library begins a relative path where the program is when it makes a context.
        Some(Statistics::File(file)) => _ = command.env("DPLX_STATS_FILE", absolute(&file).unwrap_or(file)),
        None => {}
    }
    let error = command.exec();
    // The system's error does not say that it means the interpreter.
    let reason = interpreted.err().map(|reason| format!("; {reason}")).unwrap_or_default();
    let text = format!("{}: {error}{reason}", path.display());
    if error.kind() == io::ErrorKind::NotFound { Error::NotFound(text) } else { Error::NotExecutable(text) }
}

/// Says if the library will have no effect. The program runs all the same: it may start others.
fn warn(program: &Path) {
    let obstacle = Object::read(program).ok().and_then(|object| preload::obstacle(&object));
    if let Some(reason) = obstacle {
        eprintln!("droplet-conn: {}: the library has no effect: {reason}", program.display());
    }
}

/// Returns the list of libraries to preload, with ours first.
fn preloaded(library: PathBuf) -> OsString {
    let mut list = library.into_os_string();
    if let Some(others) = env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        list.push(":");
        list.push(others);
    }
    list
}
