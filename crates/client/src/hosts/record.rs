//! What became of the attempts on a host, for statistics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::{FAULTS, Fault, FaultCounts};

/// Counts what is done with one host, whoever does it.
#[derive(Default)]
pub struct Record {
    attempts: AtomicU64,
    failures: FaultCounts,
    full_handshakes: AtomicU64,
    resumed_handshakes: AtomicU64,
}

/// A [`Record`] as it stood at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMetrics {
    /// Connects that were begun.
    pub attempts: u64,
    /// What failed, by `Fault as usize`.
    pub failures: [u64; FAULTS],
    /// TLS handshakes with a certificate.
    pub full_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: u64,
}

impl Record {
    /// A connect begins.
    pub fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// A connect or a write failed, or the caller says that the host did.
    pub fn failure(&self, fault: Fault) {
        self.failures.add(fault);
    }

    /// A TLS handshake was completed.
    pub fn handshake(&self, resumed: bool) {
        let count = if resumed { &self.resumed_handshakes } else { &self.full_handshakes };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins again from zero, in a forked child.
    pub fn forget_parent(&self) {
        let Record { attempts, failures, full_handshakes, resumed_handshakes } = self;
        for count in [attempts, full_handshakes, resumed_handshakes] {
            count.store(0, Ordering::Relaxed);
        }
        failures.clear();
    }

    /// The counts so far.
    pub fn metrics(&self) -> HostMetrics {
        HostMetrics {
            attempts: self.attempts.load(Ordering::Relaxed),
            failures: self.failures.read(),
            full_handshakes: self.full_handshakes.load(Ordering::Relaxed),
            resumed_handshakes: self.resumed_handshakes.load(Ordering::Relaxed),
        }
    }
}
