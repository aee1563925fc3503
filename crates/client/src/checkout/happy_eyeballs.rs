//! Happy eyeballs over hosts: attempts side by side, and the first to end is reported first.
//!
//! RFC 8305 describes this for the addresses of one name, which is what [`Connecting`] does; here it is done
//! for hosts that serve the same data.
//!
//! [`Connecting`]: crate::net::connect::Connecting
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use crate::net::connect::{ClosedSockets, ConnectError};
use crate::net::stream::Stream;
use crate::os::sys::{self, PollFd};
use crate::pool::permits::Permit;

/// Attempts under way, in the order in which they were started, suspended or resumed last.
#[derive(Default)]
pub struct HappyEyeballs {
    attempts: Vec<Attempt>,
}

/// An attempt that has ended, and its result.
pub type Ended = (Attempt, Result<Stream, ConnectError>);

impl HappyEyeballs {
    /// Adds an attempt.
    pub fn add(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
    }

    /// Adds all attempts of another one.
    pub fn append(&mut self, mut other: HappyEyeballs) {
        self.attempts.append(&mut other.attempts);
    }

    /// Adds the attempts on endpoints that none leads to yet. Returns the others.
    pub fn append_new(&mut self, other: HappyEyeballs) -> HappyEyeballs {
        let mut surplus = HappyEyeballs::default();
        for attempt in other.attempts {
            let is_known = self.attempts.iter().any(|known| Arc::ptr_eq(&known.endpoint, &attempt.endpoint));
            if is_known { &mut surplus } else { &mut *self }.attempts.push(attempt);
        }
        surplus
    }

    /// True if no attempt is under way.
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// The attempts that do not wait for a permit.
    pub fn running(&mut self) -> impl Iterator<Item = &mut Attempt> {
        self.attempts.iter_mut().filter(|attempt| !attempt.connecting.is_suspended())
    }

    /// The number of attempts that [`HappyEyeballs::suspend_oldest`] frees a permit of.
    pub fn count_with_permit(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.connecting.has_permit()).count()
    }

    /// The names of the endpoints, for people.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.attempts.iter().map(|attempt| attempt.endpoint.to_string()).collect();
        names.join(", ")
    }

    /// True if a lack of permits took time from an attempt.
    pub fn are_held_up(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.connecting.was_held_up())
    }

    /// True if an attempt waits for a permit.
    pub fn has_suspended(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.connecting.is_suspended())
    }

    /// Suspends the attempt that has had sockets for the longest time. `None` if no attempt has a socket.
    pub fn suspend_oldest(&mut self) -> Option<ClosedSockets> {
        let mut sockets = None;
        let place = self.attempts.iter_mut().position(|attempt| {
            sockets = attempt.connecting.suspend();
            sockets.is_some()
        })?;
        self.attempts[place..].rotate_left(1);
        sockets
    }

    /// Hands a permit to the attempt that has waited for one for the longest time. Returns its head start;
    /// `None` if no attempt waits.
    pub fn resume_oldest(&mut self, permit: Permit, now: Instant) -> Option<Duration> {
        let place = self.attempts.iter().position(|attempt| attempt.connecting.is_suspended())?;
        let attempt_delay = self.attempts[place].connecting.resume(permit, now);
        self.attempts[place..].rotate_left(1);
        Some(attempt_delay)
    }

    /// Waits until an attempt ends, or until `until`. Returns `None` if time is up or no attempt is left. `limit` is the
    /// number of permits that there may be.
    pub fn next(&mut self, until: Instant, limit: i32) -> io::Result<Option<Ended>> {
        let mut now = Instant::now();
        let mut ready = Vec::new();
        loop {
            if let Some(ended) = self.advance(&ready, now, limit) {
                return Ok(Some(ended));
            }
            let Some(wake_at) = self.attempts.iter().map(|attempt| attempt.connecting.wake_at()).min() else {
                return Ok(None);
            };
            if until <= now {
                return Ok(None);
            }
            self.watch(&mut ready);
            sys::wait_from(now, &mut ready, Some(until.min(wake_at)))?;
            now = Instant::now();
            self.attempts.iter_mut().for_each(|attempt| attempt.connecting.was_watched(now));
        }
    }

    /// Returns an attempt that has ended by now, without waiting. Nobody may have called for some time, for which no host
    /// is to blame. `limit` is the number of permits that there may be.
    pub fn poll(&mut self, limit: i32) -> io::Result<Option<Ended>> {
        let now = Instant::now();
        let mut ready = Vec::new();
        self.watch(&mut ready);
        sys::wait_from(now, &mut ready, Some(now))?;
        let mut rest = &ready[..];
        for Attempt { connecting, .. } in &mut self.attempts {
            let (own, others) = rest.split_at(connecting.watch().count());
            rest = others;
            connecting.excuse_delay(own, now);
        }
        Ok(self.advance(&ready, now, limit))
    }

    fn watch(&self, fds: &mut Vec<PollFd>) {
        fds.clear();
        fds.extend(self.attempts.iter().flat_map(|attempt| attempt.connecting.watch()));
    }

    /// Advances the attempts in order until one ends, and removes that one.
    fn advance(&mut self, mut ready: &[PollFd], now: Instant, limit: i32) -> Option<Ended> {
        for place in 0..self.attempts.len() {
            let connecting = &mut self.attempts[place].connecting;
            let (own, rest) = ready.split_at(connecting.watch().count().min(ready.len()));
            ready = rest;
            if let Some(outcome) = connecting.advance(own, now, limit) {
                return Some((self.attempts.remove(place), outcome));
            }
        }
        None
    }
}
