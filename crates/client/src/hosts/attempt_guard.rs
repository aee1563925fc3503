//! The guard of an attempt on a host. It reports to the host's circuit breaker how the attempt ends.
#![forbid(unsafe_code)]

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::circuit_breaker::CircuitBreaker;
use super::{Host, Hosts};
use crate::fault::Fault;
use crate::os::clock::Moment;
use crate::os::fork;

/// The purpose of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptKind {
    /// A connection for the caller.
    Ordinary,
    /// The probe of a half-open circuit.
    Probe,
    /// The early probe of a host that failed, because no other host is left.
    EarlyProbe,
}

/// The guard of an attempt under way. Dropped without [`AttemptGuard::succeeded`], the attempt ends without a
/// result; after a failure the host is blacklisted first, if it is at fault.
pub struct AttemptGuard {
    hosts: Arc<Hosts>,
    host: Arc<Host>,
    /// The number of the attempt among those on its host.
    number: u64,
    kind: AttemptKind,
    is_slow: bool,
    has_succeeded: bool,
    /// The fork generation it began in.
    forks: u32,
}

impl AttemptGuard {
    /// Begins an attempt on the host of this circuit breaker.
    pub(super) fn begin(hosts: &Arc<Hosts>, breaker: &mut CircuitBreaker, kind: AttemptKind) -> AttemptGuard {
        AttemptGuard {
            hosts: Arc::clone(hosts),
            host: Arc::clone(&breaker.host),
            number: breaker.begin_attempt(kind),
            kind,
            is_slow: false,
            has_succeeded: false,
            forks: fork::generation(),
        }
    }

    /// The host to try.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// True if the attempt is to find out whether the host is back. An idle connection would not show that.
    pub fn is_probe(&self) -> bool {
        self.kind != AttemptKind::Ordinary
    }

    /// True if it is an early probe. Nobody waits for it who can use another host.
    pub fn is_early_probe(&self) -> bool {
        self.kind == AttemptKind::EarlyProbe
    }

    /// Blacklists the host, because the attempt has failed at the time `since`. The result is that of
    /// [`Hosts::blacklist`].
    pub fn blacklist(
        &self,
        since: Moment,
        now: Moment,
        wait: Option<Duration>,
        fault: Fault,
    ) -> Option<bool> {
        self.hosts.open(&self.host, since, now, wait, fault, self.is_probe())
    }

    /// Notes that the attempt has used up its head start: its host is a suspect until it ends.
    pub fn mark_slow(&mut self) {
        let is_own = self.forks == fork::generation();
        if is_own && !mem::replace(&mut self.is_slow, true) {
            self.hosts.update(&self.host, |breaker| breaker.attempt_is_slow(self.number));
        }
    }

    /// Ends the attempt: its connect, TLS included, succeeded.
    pub fn succeeded(mut self) {
        self.has_succeeded = true;
    }
}

impl Drop for AttemptGuard {
    fn drop(&mut self) {
        // A forked child has forgotten its parent's attempts.
        if self.forks != fork::generation() {
            return;
        }
        self.hosts.update(&self.host, |breaker| {
            if self.has_succeeded {
                breaker.attempt_succeeded(self.number)
            } else {
                breaker.attempt_ended(self.number, self.kind == AttemptKind::Probe)
            }
        });
    }
}
