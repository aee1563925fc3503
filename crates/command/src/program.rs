//! The program that a name means: found in `PATH`, and for a script its interpreter.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
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
/// program that env(1) looks for. It is a guess, since only the kernel and env(1) know: an error says that the program
/// cannot be told, not that none runs.
pub fn interpreted(path: &Path) -> Result<Interpreted, Error> {
    let mut program = path.to_owned();
    for depth in 0..=MOST_SCRIPTS {
        let Some((interpreter, argument)) = first_line(&program) else {
            return Ok(Interpreted { program, is_script: depth > 0 });
        };
        let script = program.display().to_string();
        let of_script = |error: Error| match error {
            Error::NotFound(text) => Error::NotFound(format!("{script}: its interpreter {text}")),
            Error::NotExecutable(text) => Error::NotExecutable(format!("{script}: its interpreter {text}")),
        };
        let mut next = find(interpreter.as_os_str()).map_err(of_script)?;
        if next.file_name() == Some(OsStr::new("env")) {
            let Some(name) = started_by_env(&argument) else {
                let argument = String::from_utf8_lossy(&argument);
                return Err(Error::NotExecutable(format!(
                    "{script}: its interpreter is what `env {argument}` starts"
                )));
            };
            next = find(OsStr::from_bytes(name)).map_err(of_script)?;
        }
        program = next;
    }
    Err(Error::NotExecutable(format!("{}: too many interpreters of interpreters", path.display())))
}

/// Returns the name of the program that env(1) looks for, if its one argument tells. Not followed: its options, variables
/// that change where the program or its libraries are looked for, and quotes, which have rules of their own.
fn started_by_env(argument: &[u8]) -> Option<&[u8]> {
    let Some(words) = argument.strip_prefix(b"-S") else {
        let is_name = !argument.is_empty() && !argument.starts_with(b"-") && !argument.contains(&b'=');
        return is_name.then_some(argument);
    };
    if words.iter().any(|byte| b"\\\"'$#".contains(byte)) {
        return None;
    }
    let mut words = words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_other = |word: &&[u8]| [&b"-"[..], b"PATH=", b"LD_"].iter().any(|start| word.starts_with(start));
    words.find(|word| is_other(word) || !word.contains(&b'=')).filter(|word| !is_other(word))
}

/// Returns the interpreter that the first line of a script names, and the one argument that it gets. `None` if the kernel
/// takes the file for no script, such as one that names no interpreter.
fn first_line(path: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let mut start = Vec::new();
    // To open a FIFO would wait for its other end.
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    File::open(path).ok()?.take(LONGEST_LINE).read_to_end(&mut start).ok()?;
    let line = trim_blanks(start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?);
    let end = line.iter().position(is_blank).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at(end);
    let interpreter = PathBuf::from(OsStr::from_bytes(interpreter));
    // It is a path, which the kernel looks up in no list of folders.
    let is_named = !interpreter.as_os_str().is_empty();
    is_named.then(|| (Path::new(".").join(interpreter), trim_blanks(argument).to_vec()))
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
