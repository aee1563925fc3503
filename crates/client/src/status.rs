//! Status codes: the result of a call, as C and the log see it.
//!
//! A call that succeeds returns `DPL_SUCCESS`, 0. A call that fails returns the negative code of an [`Error`].
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

/// Failure of a call: one variant for each of Droplet's status codes that this library returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    /// `DPL_FAILURE`: the peer or the network failed, or no host is left.
    Failure = -1,
    /// `DPL_ENOENT`: no such host.
    NotFound = -2,
    /// `DPL_EINVAL`: an invalid argument.
    Invalid = -3,
    /// `DPL_ETIMEOUT`: the peer did not answer in time.
    TimedOut = -4,
    /// `DPL_ENOMEM`: out of memory.
    OutOfMemory = -5,
    /// `DPL_ESYS`: the local system refused, for example for lack of descriptors.
    System = -6,
    /// `DPL_ELIMIT`: the context has `n_conn_max` connections.
    Limit = -8,
    /// `DPL_ENAMETOOLONG`: a host name longer than DNS allows.
    NameTooLong = -9,
    /// `DPL_ENOTSUPP`: a part of Droplet is needed that the process lacks.
    Unsupported = -14,
}

/// `DPL_SUCCESS`.
pub const SUCCESS: i32 = 0;

impl Error {
    /// Returns the status code.
    pub const fn status(self) -> i32 {
        self as i32
    }

    const ALL: [Error; 9] = [
        Error::Failure,
        Error::NotFound,
        Error::Invalid,
        Error::TimedOut,
        Error::OutOfMemory,
        Error::System,
        Error::Limit,
        Error::NameTooLong,
        Error::Unsupported,
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
            Error::Unsupported => "not supported without Droplet",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Error {}

/// Returns the text for the status code of a failure.
#[cold]
pub fn meaning(status: i32) -> &'static str {
    let found = Error::ALL.into_iter().find(|error| error.status() == status);
    found.map_or("failure", Error::text)
}

/// Returns the status code of a result without a value.
pub fn code(result: Result<(), Error>) -> i32 {
    match result {
        Ok(()) => SUCCESS,
        Err(error) => error.status(),
    }
}

/// Returns the failure if this host lacks descriptors or memory (socket(2), connect(2)). `None` for all other errors.
pub fn local_fault(error: &io::Error) -> Option<Error> {
    match error.raw_os_error()? {
        libc::ENOMEM => Some(Error::OutOfMemory),
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::EAGAIN => Some(Error::System),
        _ => None,
    }
}
