//! What became of a context's connections, counted for its statistics.
//!
//! Nothing here is touched when an idle connection is reused: that the pool counts itself.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::os::clock::Moment;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseReason {
    /// The caller terminated it, or did not want it.
    #[default]
    Terminated,
    /// It was released after an error.
    Failed,
    /// It was released with unread bytes or in the middle of a reply.
    Incomplete,
    /// Its peer closed it while it was idle, or sent something unasked.
    Stale,
    /// It was idle for too long.
    Expired,
    /// It was reused as often as is allowed.
    UsedUp,
    /// It made room for one to another host.
    Evicted,
    /// Its host or address left the list, or its context was freed or has other TLS settings.
    Left,
    /// Its host is out because something failed.
    HostOut,
}

/// How many reasons there are.
pub const CLOSE_REASONS: usize = CloseReason::HostOut as usize + 1;

/// What the reasons are called, by `CloseReason as usize`.
pub const NAMES: [&CStr; CLOSE_REASONS] = [
    c"terminated",
    c"failed",
    c"incomplete",
    c"stale",
    c"expired",
    c"used up",
    c"evicted",
    c"left",
    c"host out",
];

/// The counts of one context.
#[derive(Default)]
pub struct Metrics {
    created: AtomicU64,
    closed: [AtomicU64; CLOSE_REASONS],
    failed: AtomicU64,
    waits: AtomicU64,
    waited: AtomicU64,
    longest_wait: AtomicU64,
}

/// A [`Metrics`] as it stood at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were opened.
    pub created: u64,
    /// Connections that were closed, by `CloseReason as usize`.
    pub closed: [u64; CLOSE_REASONS],
    /// Checkouts that ended without a connection.
    pub failed: u64,
    /// Checkouts that found no idle connection at once.
    pub waits: u64,
    /// How long these took together.
    pub waited: Duration,
    /// How long the longest of them took.
    pub longest_wait: Duration,
}

impl Counts {
    /// How many connections are open, idle or in use.
    pub fn open(&self) -> u64 {
        self.created.saturating_sub(self.closed.iter().sum())
    }
}

impl Metrics {
    /// A connection was opened.
    pub fn created(&self) {
        self.created.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed.
    pub fn closed(&self, why: CloseReason) {
        self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A checkout that found no idle connection has ended; it began then.
    pub fn waited(&self, since: Moment, in_vain: bool) {
        let nanoseconds = Moment::precise().nanoseconds().saturating_sub(since.nanoseconds());
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.waited.fetch_add(nanoseconds, Ordering::Relaxed);
        if nanoseconds > self.longest_wait.load(Ordering::Relaxed) {
            self.longest_wait.fetch_max(nanoseconds, Ordering::Relaxed);
        }
        if in_vain {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Begins again from zero, in a forked child.
    pub fn forget_parent(&self) {
        let Metrics { created, closed, failed, waits, waited, longest_wait } = self;
        let all = [created, failed, waits, waited, longest_wait].into_iter().chain(closed);
        all.for_each(|count| count.store(0, Ordering::Relaxed));
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            // Read after the closings, or more might seem closed than opened.
            closed: self.closed.each_ref().map(read),
            created: read(&self.created),
            failed: read(&self.failed),
            waits: read(&self.waits),
            waited: Duration::from_nanos(read(&self.waited)),
            longest_wait: Duration::from_nanos(read(&self.longest_wait)),
        }
    }
}
