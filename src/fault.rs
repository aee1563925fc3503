//! What went wrong, sorted into the few kinds that statistics count.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::status::local_fault;

/// Why an attempt, a write or a host failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens there.
    Refused,
    /// No route leads there.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The peer reset or closed the connection.
    Reset,
    /// The TLS handshake failed for another reason than those named here.
    Tls,
    /// The certificate was refused.
    Certificate,
    /// The name has no address.
    Name,
    /// A write on a new connection failed.
    Write,
    /// A write took too long.
    WriteTimedOut,
    /// The caller blacklisted the host, for example after a broken reply.
    Reported,
    /// This side: descriptors, memory, ports or the limit of connections.
    Local,
    /// Anything else.
    Other,
}

/// How many kinds there are.
pub const FAULTS: usize = Fault::Other as usize + 1;

/// What the kinds are called, by `Fault as usize`.
pub const NAMES: [&CStr; FAULTS] = [
    c"refused",
    c"unreachable",
    c"timed out",
    c"reset",
    c"TLS",
    c"certificate",
    c"name",
    c"write",
    c"write timed out",
    c"reported",
    c"local",
    c"other",
];

impl Fault {
    /// The kind of an error of the system.
    pub fn of(error: &io::Error) -> Fault {
        if local_fault(error).is_some() {
            return Fault::Local;
        }
        match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => Fault::Local,
            Some(libc::ECONNREFUSED) => Fault::Refused,
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENETDOWN | libc::EHOSTDOWN) => {
                Fault::Unreachable
            }
            Some(libc::ETIMEDOUT) => Fault::TimedOut,
            Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED) => Fault::Reset,
            _ => Fault::Other,
        }
    }
}

/// How often each kind of fault occurred.
#[derive(Default)]
pub struct FaultCounts([AtomicU64; FAULTS]);

impl FaultCounts {
    /// Counts one.
    pub fn add(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far, by `Fault as usize`.
    pub fn read(&self) -> [u64; FAULTS] {
        std::array::from_fn(|kind| self.0[kind].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_their_number() {
        let kind = |number| Fault::of(&io::Error::from_raw_os_error(number));
        assert_eq!(kind(libc::ECONNREFUSED), Fault::Refused);
        assert_eq!(kind(libc::ENETUNREACH), Fault::Unreachable);
        assert_eq!(kind(libc::ETIMEDOUT), Fault::TimedOut);
        assert_eq!(kind(libc::ECONNRESET), Fault::Reset);
        assert_eq!(kind(libc::EMFILE), Fault::Local);
        assert_eq!(kind(libc::EACCES), Fault::Other);
        assert_eq!(Fault::of(&io::ErrorKind::UnexpectedEof.into()), Fault::Other);
    }
}
