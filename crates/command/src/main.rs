//! The command `droplet-conn`: runs a program with the library preloaded, or tells what that will do.
#![forbid(unsafe_code)]

mod check;
mod elf;
mod library;
mod loader;
mod preload;
mod process;
mod program;
mod run;
mod target;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

const HELP: &str = "\
usage: droplet-conn [--library FILE] [--stats[=FILE]] PROGRAM [ARGUMENT]...
       droplet-conn [--library FILE] check PROGRAM|PID [PLUGIN]...

Runs PROGRAM with libdroplet_conn preloaded, or says whether preloading will work.

  --library FILE  the library; otherwise DPLX_LIBRARY of the environment, or the one
                  that is installed with this command, or that the loader finds
  --stats         have the library print its statistics on stderr when the program
                  frees a context or exits
  --stats=FILE    have it write them to FILE, for Prometheus, while the program runs
  -h, --help      print this
  -V, --version   print the version

`droplet-conn -- check` runs a program named check.

Exit status: that of PROGRAM; 125 if this command fails, or its use is wrong, 126 if
PROGRAM cannot be run, 127 if it is not found. Of check: 0 if preloading works or is
not needed, 1 if it does not work, 2 if that cannot be told, what follows check is
wrong, or its output cannot be written.
";

/// What the command line asks for.
enum Task {
    Help,
    Version,
    Run { name: OsString, arguments: Vec<OsString> },
    Check { name: OsString, plugins: Vec<OsString> },
}

fn main() -> ExitCode {
    let mut line = CommandLine::default();
    let task = line.read(lexopt::Parser::from_env());
    let failed = if line.is_check { check::NOT_TOLD } else { run::FAILED };
    let printed = match task {
        Ok(Task::Help) => print(HELP, 0),
        Ok(Task::Version) => print(concat!("droplet-conn ", env!("CARGO_PKG_VERSION"), "\n"), 0),
        Ok(Task::Run { name, arguments }) => {
            let error = run::run(line.library, line.statistics, &name, arguments);
            return fail(&error.to_string(), error.status());
        }
        Ok(Task::Check { name, plugins }) => match check::check(&name, &plugins, line.library) {
            Ok(report) => print(&report.to_string(), report.status()),
            Err(reason) => return fail(&reason, failed),
        },
        Err(error) => return fail(&format!("{error}; see droplet-conn --help"), failed),
    };
    printed.unwrap_or_else(|error| fail(&format!("its output cannot be written: {error}"), failed))
}

/// The command line, as far as it was read.
#[derive(Default)]
struct CommandLine {
    library: Option<PathBuf>,
    statistics: Option<run::Statistics>,
    is_check: bool,
}

impl CommandLine {
    fn read(&mut self, mut parser: lexopt::Parser) -> Result<Task, lexopt::Error> {
        let mut words = Vec::new();
        loop {
            // After it, `check` is a program.
            let is_end = parser.try_raw_args().is_some_and(|rest| rest.peek() == Some("--".as_ref()));
            let Some(argument) = parser.next()? else { break };
            match argument {
                Long("help") | Short('h') => return Ok(Task::Help),
                Long("version") | Short('V') => return Ok(Task::Version),
                Long("library") => self.library = Some(file("--library", parser.value()?)?),
                Long("stats") if !self.is_check => {
                    self.statistics = Some(match parser.optional_value() {
                        Some(value) => run::Statistics::File(file("--stats", value)?),
                        None => run::Statistics::Table,
                    });
                }
                Value(word) if word == "check" && !self.is_check && !is_end => self.is_check = true,
                Value(word) => words.push(word),
                other => return Err(other.unexpected()),
            }
            if !self.is_check && !words.is_empty() {
                // The rest is the program's.
                words.extend(parser.raw_args()?);
                break;
            }
        }
        if self.is_check && self.statistics.is_some() {
            return Err("--stats is for a program that runs, not for check".into());
        }
        let mut words = words.into_iter();
        let name = words.next().ok_or("no program is named")?;
        Ok(if self.is_check {
            Task::Check { name, plugins: words.collect() }
        } else {
            Task::Run { name, arguments: words.collect() }
        })
    }
}

/// Returns the file that an option names.
fn file(option: &str, value: OsString) -> Result<PathBuf, lexopt::Error> {
    if value.is_empty() { Err(format!("{option}: its file has no name").into()) } else { Ok(value.into()) }
}

/// Prints on stdout. A reader that has gone away is no failure.
fn print(text: &str, status: u8) -> io::Result<ExitCode> {
    // The standard library's own stdout hides that a descriptor cannot be written to.
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    match stdout.write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(ExitCode::from(status)),
    }
}

fn fail(text: &str, status: u8) -> ExitCode {
    eprintln!("droplet-conn: {text}");
    ExitCode::from(status)
}
