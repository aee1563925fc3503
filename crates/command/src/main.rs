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
  --version       print the version

`droplet-conn -- check` runs a program named check.

Exit status: that of PROGRAM; 125 if this command fails, 126 if PROGRAM cannot be
run, 127 if it is not found. Of check: 0 if preloading works or is not needed, 1 if
it does not work, 2 if the program cannot be examined or the use is wrong.
";

/// The exit status of a check that could not be made.
const NOT_CHECKED: u8 = 2;

/// What the command line asks for.
enum Task {
    Help,
    Version,
    Run { library: Option<PathBuf>, statistics: Option<run::Statistics>, words: Vec<OsString> },
    Check { library: Option<PathBuf>, words: Vec<OsString> },
}

fn main() -> ExitCode {
    match parse(lexopt::Parser::from_env()) {
        Ok(Task::Help) => print(HELP, 0),
        Ok(Task::Version) => print(concat!("droplet-conn ", env!("CARGO_PKG_VERSION"), "\n"), 0),
        Ok(Task::Run { library, statistics, words }) => {
            let Some((name, arguments)) = words.split_first() else {
                return fail("no program is named; see droplet-conn --help", run::FAILED);
            };
            let error = run::run(library, statistics, name, arguments.to_vec());
            fail(&error.to_string(), error.status())
        }
        Ok(Task::Check { library, words }) => {
            let Some((name, plugins)) = words.split_first() else {
                return fail("no program is named; see droplet-conn --help", NOT_CHECKED);
            };
            match check::check(name, plugins, library) {
                Ok(report) => print(&report.to_string(), u8::from(!report.is_good())),
                Err(reason) => fail(&reason, NOT_CHECKED),
            }
        }
        Err(error) => fail(&format!("{error}; see droplet-conn --help"), run::FAILED),
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Task, lexopt::Error> {
    let (mut library, mut statistics) = (None, None);
    let mut words = Vec::new();
    let mut is_check = false;
    loop {
        // After it, `check` is a program.
        let is_end = parser.try_raw_args().is_some_and(|rest| rest.peek() == Some("--".as_ref()));
        let Some(argument) = parser.next()? else { break };
        match argument {
            Long("help") | Short('h') => return Ok(Task::Help),
            Long("version") | Short('V') => return Ok(Task::Version),
            Long("library") => library = Some(parser.value()?.into()),
            Long("stats") => {
                let file = parser.optional_value();
                statistics =
                    Some(file.map_or(run::Statistics::Table, |file| run::Statistics::File(file.into())));
            }
            Value(word) => {
                words.push(word);
                is_check = words == ["check"] && !is_end;
                // The rest is the program's.
                words.extend(parser.raw_args()?);
                break;
            }
            other => return Err(other.unexpected()),
        }
    }
    if is_check {
        words.remove(0);
        return Ok(Task::Check { library, words });
    }
    Ok(Task::Run { library, statistics, words })
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
