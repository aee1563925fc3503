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
use std::io::{self, Write};
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
not needed, 1 if it does not work, 2 if the program cannot be examined, or what
follows check is wrong.
";

/// The exit status of a check that could not be made.
const NOT_CHECKED: u8 = 2;

/// What the command line asks for.
enum Task {
    Help,
    Version,
    Run { name: OsString, arguments: Vec<OsString> },
    Check { name: OsString, plugins: Vec<OsString> },
}

fn main() -> ExitCode {
    let mut line = CommandLine::default();
    match line.read(lexopt::Parser::from_env()) {
        Ok(Task::Help) => print(HELP, 0),
        Ok(Task::Version) => print(concat!("droplet-conn ", env!("CARGO_PKG_VERSION"), "\n"), 0),
        Ok(Task::Run { name, arguments }) => {
            let error = run::run(line.library, line.statistics, &name, arguments);
            fail(&error.to_string(), error.status())
        }
        Ok(Task::Check { name, plugins }) => match check::check(&name, &plugins, line.library) {
            Ok(report) => print(&report.to_string(), u8::from(!report.is_good())),
            Err(reason) => fail(&reason, NOT_CHECKED),
        },
        Err(error) => {
            let status = if line.is_check { NOT_CHECKED } else { run::FAILED };
            fail(&format!("{error}; see droplet-conn --help"), status)
        }
    }
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
fn print(text: &str, status: u8) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::from(status)
}

fn fail(text: &str, status: u8) -> ExitCode {
    eprintln!("droplet-conn: {text}");
    ExitCode::from(status)
}
