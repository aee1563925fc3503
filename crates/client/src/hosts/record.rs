//! Metrics of a host.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::{FAULTS, Fault, FaultCounts};

/// Counters of one host.
#[derive(Default)]
pub struct Record {
    attempts: AtomicU64,
    failures: FaultCounts,
    full_handshakes: AtomicU64,
    resumed_handshakes: AtomicU64,
}

/// The values of a [`Record`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMetrics {
    /// Attempts that were begun.
    pub attempts: u64,
    /// Failures, by `Fault as usize`.
    pub failures: [u64; FAULTS],
    /// TLS handshakes with a certificate.
    pub full_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: u64,
}

impl Record {
    /// Counts an attempt that begins.
    pub fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a failure: of an attempt, of a write, or one that the program reports.
    pub fn failure(&self, fault: Fault) {
        self.failures.add(fault);
    }

    /// Counts a TLS handshake that was completed.
    pub fn handshake(&self, resumed: bool) {
        let count = if resumed { &self.resumed_handshakes } else { &self.full_handshakes };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Restarts from zero, in a forked child.
    pub fn forget_parent(&self) {
        let Record { attempts, failures, full_handshakes, resumed_handshakes } = self;
        for count in [attempts, full_handshakes, resumed_handshakes] {
            count.store(0, Ordering::Relaxed);
        }
        failures.clear();
    }

    /// The values so far.
    pub fn metrics(&self) -> HostMetrics {
        HostMetrics {
            attempts: self.attempts.load(Ordering::Relaxed),
            failures: self.failures.read(),
            full_handshakes: self.full_handshakes.load(Ordering::Relaxed),
            resumed_handshakes: self.resumed_handshakes.load(Ordering::Relaxed),
        }
    }
}
