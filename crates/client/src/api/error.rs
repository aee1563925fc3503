//! Errors for Rust programs.

use std::fmt;
use std::io;

use crate::status;

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The profile cannot be used.
    Profile,
    /// No host answered, or none is left to try, or the list is empty. The text has the state of each host.
    NoHost,
    /// The limit of the context allows no further connection.
    Limit,
    /// The local system is out of descriptors, ports or memory.
    System,
    /// The name of the virtual host is invalid, or longer than DNS allows.
    Name,
}

/// Failure of a call. Its text has the reasons, such as each address that was tried and how that failed.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, text: String) -> Error {
        Error { kind, text }
    }

    /// The failure of a call that ended with `error`, for these reasons.
    pub(super) fn of_call(error: status::Error, reasons: &[String]) -> Error {
        let kind = match error {
            status::Error::Limit => ErrorKind::Limit,
            status::Error::System | status::Error::OutOfMemory => ErrorKind::System,
            status::Error::Invalid | status::Error::NameTooLong => ErrorKind::Name,
            _ => ErrorKind::NoHost,
        };
        let text = if reasons.is_empty() { error.to_string() } else { reasons.join("; ") };
        Error::new(kind, text)
    }

    /// Returns the kind of failure.
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
