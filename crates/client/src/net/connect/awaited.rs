//! The look-up that a connect waits for.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::resolve::LookUp;
use crate::os::sys::{Event, PollFd};

/// The longest time that a connect waits for a look-up after all known addresses have failed.
const LONGEST_GRACE: Duration = Duration::from_secs(5);

/// The look-up that may bring a connect other addresses, and the wait for it.
pub struct Awaited {
    look_up: Arc<LookUp>,
    /// The event of its end, if there is nothing else to do before.
    ended: Option<Arc<Event>>,
    /// The time to end without it, once all known addresses have failed.
    grace_ends: Option<Instant>,
}

impl Awaited {
    pub fn new(look_up: Arc<LookUp>) -> Awaited {
        Awaited { look_up, ended: None, grace_ends: None }
    }

    /// The look-up.
    pub fn look_up(&self) -> &LookUp {
        &self.look_up
    }

    /// Begins the grace, unless it has begun: the name may have other addresses by now, but a dead name server must not
    /// delay the result for long.
    pub fn begin_grace(&mut self, timeout: Duration, now: Instant) {
        self.grace_ends.get_or_insert(now + (timeout / 10).min(LONGEST_GRACE));
    }

    /// The end of the grace, if it has begun.
    pub fn grace_ends(&self) -> Option<Instant> {
        self.grace_ends
    }

    /// Has poll(2) see its end from now on.
    pub fn watch(&mut self) -> io::Result<()> {
        if self.ended.is_none() {
            self.ended = Some(self.look_up.event()?);
        }
        Ok(())
    }

    /// The descriptor to wait on, once it is watched.
    pub fn watched(&self) -> Option<PollFd> {
        self.ended.as_ref().map(|event| PollFd::readable(&**event))
    }

    /// Drops its event, which is ready although it goes on: the program has closed the descriptor.
    pub fn lose_event(&mut self) {
        if let Some(lost) = self.ended.take() {
            self.look_up.forget_event(&lost);
        }
    }
}
