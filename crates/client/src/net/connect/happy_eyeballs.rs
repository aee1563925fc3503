//! Attempts side by side: whichever ends first is reported first.
#![forbid(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use super::attempt::Freed;
use super::{Attempt, Failure};
use crate::net::stream::Stream;
use crate::os::sys::{self, PollFd};
use crate::pool::permits::Permit;

/// Several attempts under way, each with the `T` that it is made for. In the order in which they last began, or
/// gave way.
pub struct HappyEyeballs<T> {
    runners: Vec<(T, Attempt)>,
}

impl<T> Default for HappyEyeballs<T> {
    fn default() -> HappyEyeballs<T> {
        HappyEyeballs::new()
    }
}

impl<T> HappyEyeballs<T> {
    /// A race with nobody in it.
    pub const fn new() -> HappyEyeballs<T> {
        HappyEyeballs { runners: Vec::new() }
    }

    /// Lets another attempt run.
    pub fn add(&mut self, runner: T, attempt: Attempt) {
        self.runners.push((runner, attempt));
    }

    /// Whether nobody runs.
    pub fn is_empty(&self) -> bool {
        self.runners.is_empty()
    }

    /// Whoever runs and does not wait for a permit.
    pub fn running(&mut self) -> impl Iterator<Item = &mut T> {
        let running = self.runners.iter_mut().filter(|(_, attempt)| !attempt.is_suspended());
        running.map(|(runner, _)| runner)
    }

    /// Takes over everybody who runs in another race.
    pub fn join(&mut self, mut other: HappyEyeballs<T>) {
        self.runners.append(&mut other.runners);
    }

    /// Has the attempt that has held sockets for longest let go of them, to make room for another.
    pub fn give_way(&mut self) -> Option<Freed> {
        let mut freed = None;
        let place = self.runners.iter_mut().position(|(_, attempt)| {
            freed = attempt.give_way();
            freed.is_some()
        })?;
        self.runners[place..].rotate_left(1);
        freed
    }

    /// Whether an attempt waits for a permit.
    pub fn has_suspended(&self) -> bool {
        self.runners.iter().any(|(_, attempt)| attempt.is_suspended())
    }

    /// Hands a permit to the attempt that has waited for one for longest. Returns its head start.
    pub fn resume(&mut self, permit: Permit, now: Instant) -> Option<Duration> {
        let place = self.runners.iter().position(|(_, attempt)| attempt.is_suspended())?;
        let attempt_delay = self.runners[place].1.resume(permit, now);
        self.runners[place..].rotate_left(1);
        Some(attempt_delay)
    }

    /// Waits until an attempt ends or `until` comes; nobody is waited for without a deadline, since every
    /// attempt has its own.
    pub fn next(&mut self, until: Option<Instant>) -> io::Result<Option<(T, Result<Stream, Failure>)>> {
        let mut now = Instant::now();
        let mut ready = Vec::new();
        loop {
            if let Some(ended) = self.advance(&ready, now) {
                return Ok(Some(ended));
            }
            let Some(wake_at) = self.runners.iter().map(|(_, attempt)| attempt.wake_at()).min() else {
                return Ok(None);
            };
            if until.is_some_and(|until| until <= now) {
                return Ok(None);
            }
            self.watch(&mut ready);
            sys::wait_from(now, &mut ready, Some(until.map_or(wake_at, |until| until.min(wake_at))))?;
            now = Instant::now();
        }
    }

    /// What has ended by now, without waiting.
    pub fn poll(&mut self) -> io::Result<Option<(T, Result<Stream, Failure>)>> {
        let now = Instant::now();
        let mut ready = Vec::new();
        self.watch(&mut ready);
        sys::wait_from(now, &mut ready, Some(now))?;
        Ok(self.advance(&ready, now))
    }

    fn watch(&self, fds: &mut Vec<PollFd>) {
        fds.clear();
        fds.extend(self.runners.iter().flat_map(|(_, attempt)| attempt.watch()));
    }

    /// Lets everybody go on until one ends, who leaves the race.
    fn advance(&mut self, mut ready: &[PollFd], now: Instant) -> Option<(T, Result<Stream, Failure>)> {
        for place in 0..self.runners.len() {
            let (_, attempt) = &mut self.runners[place];
            let (own, rest) = ready.split_at(attempt.watch().count().min(ready.len()));
            ready = rest;
            if let Some(outcome) = attempt.advance(own, now) {
                let (runner, _) = self.runners.remove(place);
                return Some((runner, outcome));
            }
        }
        None
    }
}
