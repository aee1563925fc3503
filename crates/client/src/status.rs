//! Status codes: the result of a call, as C and the log see it.
//!
//! A call that succeeds returns `DPL_SUCCESS`, 0. A call that fails returns the negative code of an [`Error`].
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fmt;
use std::io;

/// Failure of a call: one variant for each of Droplet's status codes that this library returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    /// `DPL_FAILURE`: the peer or the network failed, or no host is left.
    Failure = -1,
    /// `DPL_ENOENT`: no such host or use.
    NotFound = -2,
    /// `DPL_EINVAL`: an invalid argument.
    Invalid = -3,
    /// `DPL_ETIMEOUT`: the peer did not answer in time.
    TimedOut = -4,
    /// `DPL_ENOMEM`: out of memory.
    OutOfMemory = -5,
    /// `DPL_ESYS`: the local system refused, for example for lack of descriptors.
    System = -6,
    /// `DPL_ELIMIT`: the context has `n_conn_max` connections, or a body is too long.
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
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(meaning(self.status()))
    }
}

impl std::error::Error for Error {}

/// The meaning of each `dpl_status_t`, by its number without the sign.
static MEANINGS: [&CStr; 22] = [
    c"success",
    c"failure",
    c"not found",
    c"invalid argument",
    c"timed out",
    c"out of memory",
    c"the system refused",
    c"input or output error",
    c"connection limit reached",
    c"name too long",
    c"not a directory",
    c"directory not empty",
    c"is a directory",
    c"exists already",
    c"not supported",
    c"redirected",
    c"too many redirections",
    c"connect failed",
    c"permission denied",
    c"precondition failed",
    c"conflict",
    c"range not available",
];

/// Returns the meaning of a status code.
#[cold]
pub fn meaning_for_c(status: i32) -> &'static CStr {
    let meaning = status.checked_neg().and_then(|number| MEANINGS.get(usize::try_from(number).ok()?));
    meaning.unwrap_or(&c"unknown status")
}

/// Returns the meaning of a status code.
#[cold]
pub fn meaning(status: i32) -> &'static str {
    // Each is in ASCII.
    meaning_for_c(status).to_str().unwrap_or_default()
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
