//! A checkout that ends before it has a connection if its time is over, or if another thread cancels it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::ContextCall;
use super::connection::Connection;
use super::uses;
use droplet_client::checkout::endpoint::Endpoint;
use droplet_client::checkout::{Call, Interruption, Settings};
use droplet_client::log::{Level, Location, Log};
use droplet_client::net::stream::Stream;
use droplet_client::net::tls::Security;
use droplet_client::pool::Limits;
use droplet_client::status::Error;

/// The longest time that such a call sleeps before it looks whether it was cancelled.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A call with a deadline, or a use that may be cancelled.
pub struct BoundedCall {
    /// The call.
    pub call: ContextCall,
    /// The end of its time; `None` is never.
    pub deadline: Option<Instant>,
    /// The number of the use that it begins, if that may be cancelled.
    pub use_number: Option<u64>,
}

impl Log for BoundedCall {
    fn log(&self, level: Level, location: Location, message: fmt::Arguments<'_>) {
        self.call.log(level, location, message);
    }

    fn note(&self, reason: fmt::Arguments<'_>) {
        self.call.note(reason);
    }

    fn trace(&self, location: Location, message: fmt::Arguments<'_>) {
        self.call.trace(location, message);
    }
}

impl Call<Connection> for BoundedCall {
    fn settings(&self) -> Settings {
        self.call.settings()
    }

    fn limits(&self) -> Limits {
        self.call.limits()
    }

    fn interruption(&self) -> Option<Interruption> {
        if self.use_number.is_some_and(uses::is_cancelled) {
            return Some(Interruption::Cancelled);
        }
        let is_over = self.time_left() == Some(Duration::ZERO);
        is_over.then_some(Interruption::TimedOut)
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn attention(&self) -> Option<Duration> {
        self.time_left().into_iter().chain(self.use_number.map(|_| LOOK_INTERVAL)).min()
    }

    fn wants(&self, idle: &mut Connection) -> bool {
        self.call.wants(idle)
    }

    fn security(&self) -> Result<Option<Security>, Error> {
        self.call.security()
    }

    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<Connection, Error> {
        self.call.wrap(stream, endpoint)
    }
}
