//! What a call can end with.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

/// Why a call failed: one variant for each status code of Droplet that this library returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    /// `DPL_FAILURE`: the peer or the network failed, or no host is left.
    Failure = -1,
    /// `DPL_ENOENT`: no such host.
    NotFound = -2,
    /// `DPL_EINVAL`: an argument that no call can work with.
    Invalid = -3,
    /// `DPL_ETIMEOUT`: the peer took too long.
    TimedOut = -4,
    /// `DPL_ENOMEM`: out of memory.
    OutOfMemory = -5,
    /// `DPL_ESYS`: the local system refused, for example because descriptors ran out.
    System = -6,
    /// `DPL_ELIMIT`: the context has as many connections as it may.
    Limit = -8,
    /// `DPL_ENAMETOOLONG`: a host name longer than DNS allows.
    NameTooLong = -9,
}

/// `DPL_SUCCESS`.
pub const SUCCESS: i32 = 0;

impl Error {
    /// The status code that C sees.
    pub const fn status(self) -> i32 {
        self as i32
    }
}

impl Error {
    const ALL: [Error; 8] = [
        Error::Failure,
        Error::NotFound,
        Error::Invalid,
        Error::TimedOut,
        Error::OutOfMemory,
        Error::System,
        Error::Limit,
        Error::NameTooLong,
    ];

    const fn text(self) -> &'static str {
        match self {
            Error::Failure => "failure",
            Error::NotFound => "no such host",
            Error::Invalid => "invalid argument",
            Error::TimedOut => "timed out",
            Error::OutOfMemory => "out of memory",
            Error::System => "the system refused",
            Error::Limit => "connection limit reached",
            Error::NameTooLong => "name too long",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What a status that tells of a failure means.
#[cold]
pub fn meaning(status: i32) -> &'static str {
    let found = Error::ALL.into_iter().find(|error| error.status() == status);
    found.map_or("failure", Error::text)
}

impl std::error::Error for Error {}

/// The status code of a result whose success has no value, by Droplet's convention.
pub fn code(result: Result<(), Error>) -> i32 {
    match result {
        Ok(()) => SUCCESS,
        Err(error) => error.status(),
    }
}

/// If the local system is at fault, and not the peer: what to tell the caller.
///
/// Descriptors and memory run out on this side (connect(2), socket(2)).
pub fn local_fault(error: &io::Error) -> Option<Error> {
    match error.raw_os_error()? {
        libc::ENOMEM => Some(Error::OutOfMemory),
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::EAGAIN => Some(Error::System),
        _ => None,
    }
}
