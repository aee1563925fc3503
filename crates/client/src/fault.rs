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
    /// The caller says so: a reply did not come, or was broken.
    Reported,
    /// This side: descriptors, memory, ports, its policy, or the limit of connections.
    Local,
    /// Anything else.
    Other,
    /// A complete reply said that the server is at fault (5xx).
    Replied,
    /// Nothing: the program took the host out.
    Ordered,
}

/// How many kinds there are.
pub const FAULTS: usize = Fault::Ordered as usize + 1;

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
    c"replied",
    c"ordered",
];

impl Fault {
    /// The kind of an error of the system, which may have come over the network.
    pub fn of(error: &io::Error) -> Fault {
        if local_fault(error).is_some() {
            return Fault::Local;
        }
        match error.raw_os_error() {
            // No ICMP message leads to these.
            Some(libc::EADDRNOTAVAIL | libc::EPERM | libc::ENETDOWN) => Fault::Local,
            Some(libc::ECONNREFUSED) => Fault::Refused,
            // EACCES is what becomes of "administratively prohibited" in ICMPv6 (icmpv6_err_convert() of the
            // kernel).
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::EACCES) => {
                Fault::Unreachable
            }
            Some(libc::ETIMEDOUT) => Fault::TimedOut,
            Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED) => Fault::Reset,
            _ => Fault::Other,
        }
    }

    /// The kind of what socket(2) or connect(2) itself returned, before anything was heard from the network.
    /// Unless it says that the way or the peer is missing, this side would not have the connect: by its routes,
    /// its filters, or what its kernel knows.
    pub fn of_call(error: &io::Error) -> Fault {
        match error.raw_os_error() {
            Some(libc::EACCES) => Fault::Local,
            _ => match Fault::of(error) {
                Fault::Other => Fault::Local,
                fault => fault,
            },
        }
    }

    /// Whether something failed, so that other connections of the host may be dead as well. A host that replies
    /// is there, and one that the program took out may be well.
    pub fn is_failure(self) -> bool {
        !matches!(self, Fault::Replied | Fault::Ordered)
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

    /// Begins again from zero.
    pub fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
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
        assert_eq!(kind(libc::EACCES), Fault::Unreachable);
        assert_eq!(kind(libc::EPROTO), Fault::Other);
        assert_eq!(Fault::of(&io::ErrorKind::UnexpectedEof.into()), Fault::Other);
    }

    #[test]
    fn what_the_call_itself_says_is_of_this_side_unless_the_way_is_missing() {
        let kind = |number| Fault::of_call(&io::Error::from_raw_os_error(number));
        let policy = [
            libc::EPERM,
            libc::EACCES,
            libc::EAFNOSUPPORT,
            libc::EINVAL,
            libc::ENETDOWN,
            libc::EPROTONOSUPPORT,
            libc::EADDRNOTAVAIL,
            libc::ENOSYS,
            libc::EMFILE,
        ];
        policy.into_iter().for_each(|number| assert_eq!(kind(number), Fault::Local, "{number}"));
        assert_eq!(kind(libc::ECONNREFUSED), Fault::Refused);
        assert_eq!(kind(libc::ENETUNREACH), Fault::Unreachable);
        assert_eq!(kind(libc::EHOSTUNREACH), Fault::Unreachable);
    }
}
