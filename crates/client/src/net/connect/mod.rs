//! Connecting to one host: its addresses are tried in order, each with a head start before the next.
//!
//! [`Connecting`] is the state machine and never waits. Several hosts side by side are the business of
//! `checkout`.
#![forbid(unsafe_code)]

mod connecting;
mod error;

use std::time::Duration;

pub use connecting::{ClosedSockets, ConnectPlan, Connecting};
pub use error::{ConnectError, ConnectErrorKind};

/// The head start of an address, or of a host, before the next one is tried beside it ("Connection
/// Attempt Delay", RFC 8305, section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
