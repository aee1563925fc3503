//! Why a call failed, for Rust programs.

use std::cell::RefCell;
use std::fmt;
use std::io;

use super::context::{LogCallback, Severity};
use crate::log::{Level, Location, Log};
use crate::status;

/// Which kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The profile cannot be used.
    Profile,
    /// No host answered, or all are blacklisted.
    NoHost,
    /// As many connections as the context may have are in use.
    Limit,
    /// The local system refused: descriptors, ports or memory ran out.
    System,
    /// The name of a virtual host is none, or longer than DNS allows.
    Name,
}

/// Why a call failed, in words: which addresses were tried, for example, and what became of each.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, text: String) -> Error {
        Error { kind, text }
    }

    /// Which kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// For functions that connect and then read and write.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind {
            ErrorKind::NoHost => io::ErrorKind::HostUnreachable,
            ErrorKind::Profile | ErrorKind::Name => io::ErrorKind::InvalidInput,
            ErrorKind::Limit | ErrorKind::System => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// What is said during one call: the reasons of its failure, should it fail.
pub struct Reasons<'a> {
    log_callback: Option<&'a LogCallback>,
    errors: RefCell<Vec<String>>,
}

impl<'a> Reasons<'a> {
    /// None so far.
    pub fn new(log_callback: Option<&'a LogCallback>) -> Reasons<'a> {
        Reasons { log_callback, errors: RefCell::default() }
    }

    /// The failure that they led to.
    pub fn failure(&self, error: status::Error) -> Error {
        let kind = match error {
            status::Error::Limit => ErrorKind::Limit,
            status::Error::System | status::Error::OutOfMemory => ErrorKind::System,
            status::Error::Invalid | status::Error::NameTooLong => ErrorKind::Name,
            _ => ErrorKind::NoHost,
        };
        let errors = self.errors.borrow();
        let text = match (errors.is_empty(), kind) {
            (false, _) => errors.join("; "),
            (true, ErrorKind::NoHost) => "no host is left: all are blacklisted".to_owned(),
            (true, _) => error.to_string(),
        };
        Error::new(kind, text)
    }
}

impl Log for Reasons<'_> {
    fn log(&self, level: Level, _place: Location, message: fmt::Arguments<'_>) {
        let text = message.to_string();
        if let Some(log_callback) = self.log_callback {
            let severity = match level {
                Level::Warning => Severity::Warning,
                Level::Error => Severity::Error,
            };
            log_callback(severity, &text);
        }
        if level == Level::Error {
            self.errors.borrow_mut().push(text);
        }
    }

    fn trace(&self, _place: Location, _message: fmt::Arguments<'_>) {}
}
