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

/// The head start of an address, or of a host, before the next one is tried beside it, if there is time enough
/// ("Connection Attempt Delay", RFC 8305, section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The shortest head start ("Minimum Connection Attempt Delay", RFC 8305, sections 5 and 8).
const SHORTEST_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// Returns the head start of an attempt that `others` are to follow in the time that is left: an equal part of that time,
/// within the two bounds above.
pub fn head_start(time_left: Duration, others: usize) -> Duration {
    let share = time_left / u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
    share.clamp(SHORTEST_ATTEMPT_DELAY, CONNECTION_ATTEMPT_DELAY)
}

/// The plan of a connect.
pub struct ConnectPlan {
    /// The addresses of the host.
    pub addresses: Arc<Addresses>,
    /// The longest time it may take: the look-up of the name, all addresses, and TLS.
    pub timeout: Duration,
    /// The time that the call has left. All addresses are tried within this time, if it is 10 ms or more for each.
    pub time_left: Duration,
    /// The source of permits: each socket needs one.
    pub permits: Arc<Permits>,
    /// The TLS handshake, if there is to be one.
    pub tls: Option<TlsPlan>,
}

#[cfg(test)]
mod tests;
