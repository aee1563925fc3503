//! Connecting to one host: its addresses are tried in order, each with a head start before the next.
//!
//! [`Connecting`] is the state machine and never waits. Several hosts side by side are the business of
//! `checkout`.
#![forbid(unsafe_code)]

mod awaited;
mod connecting;
mod error;

use std::sync::Arc;
use std::time::Duration;

use crate::net::resolve::Addresses;
use crate::net::tls::TlsPlan;
use crate::pool::permits::Permits;

pub use connecting::{ClosedSockets, Connecting};
pub use error::{ConnectError, ConnectErrorKind};

/// The head start of an address, or of a host, before the next one is tried beside it ("Connection
/// Attempt Delay", RFC 8305, section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The plan of a connect.
pub struct ConnectPlan {
    /// The addresses of the host.
    pub addresses: Arc<Addresses>,
    /// The longest time it may take: the look-up of the name, all addresses, and TLS.
    pub timeout: Duration,
    /// The source of permits: each socket needs one.
    pub permits: Arc<Permits>,
    /// The TLS handshake, if there is to be one.
    pub tls: Option<TlsPlan>,
}

#[cfg(test)]
mod tests;
