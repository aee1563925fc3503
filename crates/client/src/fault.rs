//! Kinds of failures. The statistics of a host count them, and a host's status says which one blacklisted it.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::status::local_fault;

/// Kind of failure of a connection attempt, a write or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No process listens on the port.
    Refused,
    /// There is no route to the host.
    Unreachable,
    /// The host did not answer in time.
    TimedOut,
    /// The peer reset or closed the connection.
    Reset,
    /// The TLS handshake failed, but not by the certificate or another kind named here.
    Tls,
    /// The certificate of the host was refused.
    Certificate,
    /// The name did not resolve to an address.
    Name,
    /// A write on a new connection failed.
    Write,
    /// A write timed out.
    WriteTimedOut,
    /// The caller reported a failure: a reply was missing or malformed.
    Reported,
    /// The failure was local: descriptors, memory, ports, a policy, or the limit of connections.
    Local,
    /// Another failure.
    Other,
    /// A complete reply had a status of 5xx.
    Replied,
    /// No failure: the program blacklisted the host.
    Ordered,
}

/// Number of kinds.
pub const FAULTS: usize = Fault::Ordered as usize + 1;

/// Names of the kinds, indexed by `Fault as usize`.
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
    /// Returns the kind of a system error that the network may have caused.
    pub fn of(error: &io::Error) -> Fault {
        if local_fault(error).is_some() {
            return Fault::Local;
        }
        match error.raw_os_error() {
            // No ICMP message causes these.
            Some(libc::EADDRNOTAVAIL | libc::EPERM | libc::ENETDOWN) => Fault::Local,
            Some(libc::ECONNREFUSED) => Fault::Refused,
            // The kernel turns the ICMPv6 message "administratively prohibited" into EACCES (icmpv6_err_convert()).
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::EACCES) => {
                Fault::Unreachable
            }
            Some(libc::ETIMEDOUT) => Fault::TimedOut,
            Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED) => Fault::Reset,
            _ => Fault::Other,
        }
    }

    /// Returns the kind of an error that socket(2) or connect(2) returned at once, before any answer from the network.
    /// Such an error is local (a route, a filter, a missing protocol), unless it says that the host is unreachable or
    /// refuses.
    pub fn of_call(error: &io::Error) -> Fault {
        match error.raw_os_error() {
            Some(libc::EACCES) => Fault::Local,
            _ => match Fault::of(error) {
                Fault::Other => Fault::Local,
                fault => fault,
            },
        }
    }

    /// Returns whether a reply was the reason: a status of 5xx, or a broken reply.
    pub fn is_of_reply(self) -> bool {
        matches!(self, Fault::Replied | Fault::Reported)
    }

    /// Returns whether other connections of the host may have failed too. Not so if the host replied, or if the program
    /// blacklisted it.
    pub fn is_failure(self) -> bool {
        !matches!(self, Fault::Replied | Fault::Ordered)
    }
}

/// Number of failures of each kind.
#[derive(Default)]
pub struct FaultCounts([AtomicU64; FAULTS]);

impl FaultCounts {
    /// Counts a failure.
    pub fn add(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Sets all counts to zero.
    pub fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }

    /// Returns the counts, indexed by `Fault as usize`.
    pub fn read(&self) -> [u64; FAULTS] {
        std::array::from_fn(|kind| self.0[kind].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_have_a_kind() {
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
    fn errors_of_the_call_itself_are_local_unless_the_host_is_unreachable() {
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
