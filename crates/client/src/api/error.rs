//! Errors for Rust programs.

use std::fmt;
use std::io;

use crate::hosts::Hosts;
use crate::status;

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The profile cannot be used.
    Profile,
    /// No host answered, or no host may be tried: each is blacklisted or being probed, or the list is empty.
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

    /// The failure of a call on these hosts that ended with `error`, after logging these errors.
    pub(super) fn of_call(error: status::Error, logged: &[String], hosts: &Hosts) -> Error {
        let kind = match error {
            status::Error::Limit => ErrorKind::Limit,
            status::Error::System | status::Error::OutOfMemory => ErrorKind::System,
            status::Error::Invalid | status::Error::NameTooLong => ErrorKind::Name,
            _ => ErrorKind::NoHost,
        };
        let text = match (logged.is_empty(), kind) {
            (false, _) => logged.join("; "),
            (true, ErrorKind::NoHost) => hosts.why_none_is_tried().to_owned(),
            (true, _) => error.to_string(),
        };
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
