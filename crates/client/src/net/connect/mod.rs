//! Making new connections: one attempt over all addresses of a host, and several attempts side by side.
#![forbid(unsafe_code)]

mod attempt;
mod happy_eyeballs;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use attempt::{Attempt, Plan};
pub use happy_eyeballs::HappyEyeballs;

use crate::fault::Fault;
use crate::net::tls::HandshakeError;
use crate::status::Error;

/// The head start of an address, or of a host, before the next one is tried beside it ("Connection
/// Attempt Delay", RFC 8305, section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Why one address, or the name, did not lead to a connection.
#[derive(Debug)]
pub enum Cause {
    /// What became of the connect.
    Io(io::Error),
    /// The system would not begin it: what socket(2) or connect(2) itself returned.
    Call(io::Error),
    /// No answer before the deadline.
    TimedOut,
    /// TLS did not come about.
    Tls(HandshakeError),
    /// The deadline came, but other connections had taken time from it (`n_conn_max`).
    GivenUp,
}

impl Cause {
    /// The kind that it is counted as.
    pub fn fault(&self) -> Fault {
        match self {
            Cause::Io(error) => Fault::of(error),
            Cause::Call(error) => Fault::of_call(error),
            Cause::TimedOut => Fault::TimedOut,
            Cause::Tls(refusal) => refusal.fault,
            Cause::GivenUp => Fault::Local,
        }
    }

    /// What to tell the caller if this side lacks something, so that no other address will do better.
    pub fn local_fault(&self) -> Option<Error> {
        match self {
            Cause::Io(error) | Cause::Call(error) => crate::status::local_fault(error),
            Cause::Tls(refusal) => refusal.local_fault(),
            Cause::TimedOut | Cause::GivenUp => None,
        }
    }

    /// Whether it says something about the peer.
    pub fn is_the_peers(&self) -> bool {
        self.fault() != Fault::Local
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) | Cause::Call(error) => f.write_str(&crate::os::sys::error_text(error)),
            Cause::TimedOut => f.write_str("Connection timed out"),
            Cause::Tls(refusal) => f.write_str(&refusal.reason),
            Cause::GivenUp => f.write_str("given up for want of connections (n_conn_max)"),
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

    /// What to tell the caller if this side lacks something, so that no other host would do better.
    pub fn local_fault(&self) -> Option<Error> {
        self.causes.iter().find_map(|(_, cause)| cause.local_fault())
    }

    /// What to tell the caller if nothing else was tried.
    pub fn error(&self) -> Error {
        let mut causes = self.causes.iter().map(|(_, cause)| cause);
        if causes.clone().any(|cause| matches!(cause, Cause::GivenUp)) {
            Error::Limit
        } else if !self.causes.is_empty() && causes.all(|cause| cause.fault() == Fault::Local) {
            Error::System
        } else {
            Error::Failure
        }
    }
}
