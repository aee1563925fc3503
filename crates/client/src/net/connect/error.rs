//! Reasons why a connect failed.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::fault::Fault;
use crate::net::resolve::LookupError;
use crate::net::tls::HandshakeError;
use crate::os::sys;
use crate::status::{self, Error};

/// The reasons why a connect to a host failed.
#[derive(Debug, Default)]
pub struct ConnectError {
    /// One for each address that was tried, in the order in which they failed.
    pub causes: Vec<(SocketAddr, ConnectErrorKind)>,
    /// The error of the look-up, if there is no address, or this side could not wait for the name server's.
    pub look_up: Option<LookupError>,
    /// The time since the deadline of the connect; zero if that has not passed. Nobody may have called for some time.
    pub age: Duration,
}

/// The reason why the connect to one address failed.
#[derive(Debug)]
pub enum ConnectErrorKind {
    /// The connect began and ended with this error.
    Io(io::Error),
    /// The system did not begin the connect: socket(2) or connect(2) itself returned this error.
    Call(io::Error),
    /// No answer before the deadline.
    TimedOut,
    /// The TLS handshake failed.
    Tls(HandshakeError),
    /// The deadline came, but the connect had to wait for other connections first (`n_conn_max`).
    GivenUp,
    /// It failed for this reason, after no call had gone on with it for some time. Nobody knows how old the failure is,
    /// and whether the host is back.
    LeftAlone(Box<ConnectErrorKind>),
}

impl ConnectErrorKind {
    /// This reason for a connect that no call went on with for some time.
    pub fn left_alone(self) -> ConnectErrorKind {
        ConnectErrorKind::LeftAlone(Box::new(self))
    }

    /// The fault that statistics count.
    pub fn fault(&self) -> Fault {
        match self {
            ConnectErrorKind::Io(error) => Fault::of(error),
            ConnectErrorKind::Call(error) => Fault::of_call(error),
            ConnectErrorKind::TimedOut => Fault::TimedOut,
            ConnectErrorKind::Tls(error) => error.fault,
            ConnectErrorKind::GivenUp | ConnectErrorKind::LeftAlone(_) => Fault::Local,
        }
    }

    /// The error for the caller if this side lacks something, so that no other address would do better.
    pub fn local_fault(&self) -> Option<Error> {
        match self {
            ConnectErrorKind::Io(error) | ConnectErrorKind::Call(error) => status::local_fault(error),
            ConnectErrorKind::Tls(error) => error.local_fault(),
            ConnectErrorKind::TimedOut | ConnectErrorKind::GivenUp | ConnectErrorKind::LeftAlone(_) => None,
        }
    }

    /// True if it says nothing about the host some time later: the host may have come back.
    pub fn may_be_over(&self) -> bool {
        matches!(self.fault(), Fault::Refused | Fault::Unreachable | Fault::Reset | Fault::Tls)
    }

    /// True if the peer or the way to it is at fault, and not this side.
    pub fn is_remote(&self) -> bool {
        self.fault() != Fault::Local
    }
}

impl fmt::Display for ConnectErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectErrorKind::Io(error) | ConnectErrorKind::Call(error) => {
                f.write_str(&sys::error_text(error))
            }
            ConnectErrorKind::TimedOut => f.write_str("Connection timed out"),
            ConnectErrorKind::Tls(error) => f.write_str(&error.reason),
            ConnectErrorKind::GivenUp => f.write_str("given up, no connection was free (n_conn_max)"),
            ConnectErrorKind::LeftAlone(reason) => {
                write!(f, "{reason}, noticed late: no call looked at this connect meanwhile")
            }
        }
    }
}

impl ConnectError {
    /// The fault of the look-up, or of the address that failed last.
    pub fn fault(&self) -> Fault {
        match &self.look_up {
            Some(error) if error.local_fault().is_some() => Fault::Local,
            Some(_) => Fault::Name,
            None => self.causes.last().map_or(Fault::Other, |(_, kind)| kind.fault()),
        }
    }

    /// True if the limit on connections took the time of an address.
    pub fn was_given_up(&self) -> bool {
        self.causes.iter().any(|(_, kind)| matches!(kind, ConnectErrorKind::GivenUp))
    }

    /// The error for the caller if this side lacks something, so that no other host would do better.
    pub fn local_fault(&self) -> Option<Error> {
        let of_look_up = self.look_up.as_ref().and_then(LookupError::local_fault);
        of_look_up.or_else(|| self.causes.iter().find_map(|(_, kind)| kind.local_fault()))
    }

    /// The error for the caller if no other host was tried.
    pub fn status(&self) -> Error {
        if let Some(lack) = self.look_up.as_ref().and_then(LookupError::local_fault) {
            return lack;
        }
        let mut kinds = self.causes.iter().map(|(_, kind)| kind);
        if self.was_given_up() {
            Error::Limit
        } else if !self.causes.is_empty() && kinds.all(|kind| !kind.is_remote()) {
            Error::System
        } else {
            Error::Failure
        }
    }
}
