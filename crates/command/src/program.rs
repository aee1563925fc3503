//! The program that a name means: found in `PATH`, and for a script its interpreter.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Interpreters of interpreters: the kernel allows no more.
const MOST_SCRIPTS: usize = 4;

/// Bytes of the first line that the kernel reads.
const LONGEST_LINE: u64 = 256;

/// Why a name means no program.
#[derive(Debug)]
pub enum Error {
    /// There is no such file.
    NotFound(String),
    /// There is one, which cannot be run.
    NotExecutable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::NotFound(text) | Error::NotExecutable(text)) = self;
        f.write_str(text)
    }
}

/// Returns the file that execvp(3) runs for a name.
pub fn find(name: &OsStr) -> Result<PathBuf, Error> {
    let shown = name.to_string_lossy();
    if name.as_bytes().contains(&b'/') {
        return executable(Path::new(name)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::NotFound(format!("{shown}: {error}"))
            }
            _ => Error::NotExecutable(format!("{shown}: {error}")),
        });
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut refused = None;
    for folder in env::split_paths(&folders).filter(|_| !name.is_empty()) {
        // An empty one is the working directory.
        let path = if folder.as_os_str().is_empty() { Path::new(".").join(name) } else { folder.join(name) };
        match executable(&path) {
            Ok(path) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refused.get_or_insert(format!("{}: {error}", path.display()));
            }
            Err(_) => {}
        }
    }
    Err(refused.map_or_else(|| Error::NotFound(format!("{shown}: not found in PATH")), Error::NotExecutable))
}

fn executable(path: &Path) -> io::Result<PathBuf> {
    if path.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a directory"));
    }
    access(path, Access::EXEC_OK)?;
    Ok(path.to_owned())
}

/// The program that runs a file.
pub struct Interpreted {
    /// The program itself, or the interpreter of a script.
    pub program: PathBuf,
    /// True if the file is a script.
    pub is_script: bool,
}

/// Returns the program that runs a file: the interpreter if it is a script. With `env` as the interpreter, that is the
/// program that env(1) looks for.
pub fn interpreted(path: &Path) -> Result<Interpreted, Error> {
    let mut program = path.to_owned();
    for depth in 0..=MOST_SCRIPTS {
        let Some(line) = first_line(&program) else {
            return Ok(Interpreted { program, is_script: depth > 0 });
        };
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let wanted = OsString::from_vec(words.next().unwrap_or_default().to_vec());
        let mut next = find(&wanted).map_err(|error| interpreter_error(&program, &error))?;
        if next.file_name() == Some(OsStr::new("env")) {
            let is_assignment = |word: &&[u8]| word.starts_with(b"-") || word.contains(&b'=');
            let name = words.find(|word| !is_assignment(word)).unwrap_or_default();
            next = find(OsStr::from_bytes(name)).map_err(|error| interpreter_error(&program, &error))?;
        }
        program = next;
    }
    Err(Error::NotExecutable(format!("{}: too many interpreters of interpreters", path.display())))
}

fn interpreter_error(script: &Path, error: &Error) -> Error {
    let text = format!("{}: its interpreter {error}", script.display());
    match error {
        Error::NotFound(_) => Error::NotFound(text),
        Error::NotExecutable(_) => Error::NotExecutable(text),
    }
}

/// Returns the first line of a script, without its `#!`.
fn first_line(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    // To open a FIFO would wait for its other end.
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    File::open(path).ok()?.take(LONGEST_LINE).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(line.trim_ascii().to_vec())
}
