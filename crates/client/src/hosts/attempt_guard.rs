//! An attempt to connect, as the list of hosts counts it.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{Host, Hosts};
use crate::os::fork;

/// An attempt on a host that is under way. A probe, which alone decides whether its host comes back, leaves it
/// to the next checkout if it is dropped without a verdict.
pub struct AttemptGuard {
    pub(super) hosts: Arc<Hosts>,
    pub(super) host: Arc<Host>,
    /// Its number among the trials of the host.
    pub(super) number: u64,
    pub(super) is_probe: bool,
    is_slow: bool,
    has_succeeded: bool,
    /// The process it belongs to.
    forks: u32,
}

impl AttemptGuard {
    pub(super) fn new(hosts: &Arc<Hosts>, host: &Arc<Host>, number: u64, is_probe: bool) -> AttemptGuard {
        AttemptGuard {
            hosts: Arc::clone(hosts),
            host: Arc::clone(host),
            number,
            is_probe,
            is_slow: false,
            has_succeeded: false,
            forks: fork::generation(),
        }
    }

    /// The list that the host was chosen from.
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// The host to try.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Whether it decides if the host comes back.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// It takes long: until it ends others had better turn elsewhere.
    pub fn takes_long(&mut self) {
        if !std::mem::replace(&mut self.is_slow, true) {
            self.hosts.update(&self.host, |entry| entry.suspect(self.number));
        }
    }

    /// Its connect came through, TLS included.
    pub fn succeeded(mut self) {
        self.has_succeeded = true;
    }
}

impl Drop for AttemptGuard {
    fn drop(&mut self) {
        if self.forks != fork::generation() {
            return;
        }
        self.hosts.update(&self.host, |entry| {
            if self.has_succeeded {
                entry.attempt_succeeded()
            } else {
                entry.attempt_ended(self.number, self.is_probe)
            }
        });
    }
}
