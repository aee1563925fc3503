//! An attempt on a host.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::checkout::endpoint::Endpoint;
use crate::hosts::AttemptGuard;
use crate::net::connect::{ConnectError, Connecting};

/// An attempt on a host: the endpoint it connects to, its guard in the list of hosts, and the connect under
/// way.
pub struct Attempt {
    /// The host by its own name, or a virtual host on it.
    pub endpoint: Arc<Endpoint>,
    /// The guard that reports the attempt to the host's circuit breaker. `None` for an endpoint that the program
    /// asked for by name: its failure does not keep other checkouts from the host.
    pub guard: Option<AttemptGuard>,
    /// The connect under way.
    pub connecting: Connecting,
}

impl Attempt {
    /// Makes the host a suspect until the attempt ends, so that other checkouts prefer other hosts.
    pub fn mark_slow(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.mark_slow();
        }
    }

    /// Returns the guard of the host if the host is to blame for this failure.
    pub fn guard_to_blame(&self, error: &ConnectError) -> Option<&AttemptGuard> {
        let mut causes = error.causes.iter();
        let is_to_blame = causes.any(|(address, kind)| kind.is_remote() && self.endpoint.is_own(*address));
        // An address that had no time because of the limit might have been the one that works.
        self.guard.as_ref().filter(|_| is_to_blame && !error.was_given_up())
    }
}
