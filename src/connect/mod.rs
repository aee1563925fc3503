//! Making new connections: one attempt over all addresses of a host, and several attempts side by side.
#![forbid(unsafe_code)]

mod attempt;
mod race;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use attempt::{Attempt, Begun, Plan};
pub use race::Race;

use crate::fault::Fault;
use crate::status::Error;
use crate::stream::tls::Refusal;

/// The head start of an address, or of a host, before the next one is tried beside it ("Connection
/// Attempt Delay", RFC 8305, section 5).
pub const HEAD_START: Duration = Duration::from_millis(250);

/// Why one address, or the name, did not lead to a connection.
#[derive(Debug)]
pub enum Cause {
    /// The system's answer.
    Io(io::Error),
    /// No answer before the deadline.
    TimedOut,
    /// TLS did not come about.
    Tls(Refusal),
    /// The context has as many connections as it may.
    Limit,
    /// No answer yet when its connection was needed for another attempt, for the same reason.
    GaveWay,
}

impl Cause {
    /// The kind that it is counted as.
    pub fn fault(&self) -> Fault {
        match self {
            Cause::Io(error) => Fault::of(error),
            Cause::TimedOut => Fault::TimedOut,
            Cause::Tls(refusal) => refusal.fault,
            Cause::Limit | Cause::GaveWay => Fault::Local,
        }
    }

    /// What to tell the caller if this side is at fault, and not the host.
    pub fn local_fault(&self) -> Option<Error> {
        match self {
            Cause::Io(error) => crate::status::local_fault(error),
            Cause::Limit => Some(Error::Limit),
            Cause::Tls(refusal) => refusal.local_fault(),
            Cause::TimedOut | Cause::GaveWay => None,
        }
    }

    /// No port, or no address, of this machine to connect from (connect(2)). Elsewhere there may be one.
    pub fn is_no_way_out(&self) -> bool {
        matches!(self, Cause::Io(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL))
    }

    /// Whether it says something about the peer.
    pub fn is_the_peers(&self) -> bool {
        match self {
            Cause::Io(_) | Cause::Tls(_) => self.local_fault().is_none() && !self.is_no_way_out(),
            Cause::TimedOut => true,
            Cause::Limit | Cause::GaveWay => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => f.write_str(&crate::sys::error_text(error)),
            Cause::TimedOut => f.write_str("Connection timed out"),
            Cause::Tls(refusal) => f.write_str(&refusal.reason),
            Cause::Limit => f.write_str("connection limit reached (n_conn_max)"),
            Cause::GaveWay => f.write_str("no answer, and given up for another attempt (n_conn_max)"),
        }
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub struct Failure {
    /// One for each address that was tried, in the order in which they failed.
    pub causes: Vec<(SocketAddr, Cause)>,
}

impl Failure {
    /// The kind of what went wrong last.
    pub fn fault(&self) -> Fault {
        self.causes.last().map_or(Fault::Other, |(_, cause)| cause.fault())
    }

    /// What to tell the caller if this side is at fault, so that no other host would do better.
    pub fn local_fault(&self) -> Option<Error> {
        self.causes.iter().find_map(|(_, cause)| cause.local_fault())
    }

    /// Whether this machine had no port or address for any of the connects.
    pub fn is_no_way_out(&self) -> bool {
        self.causes.iter().all(|(_, cause)| cause.is_no_way_out())
    }
}
