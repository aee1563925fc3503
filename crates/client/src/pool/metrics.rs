//! Metrics of a context's connections.
//!
//! Reuses are not counted here but by the pool, under a lock that it holds anyway.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::os::clock::Moment;

/// The reason why a connection was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseReason {
    /// The program terminated it, or the checkout that made it failed after all.
    #[default]
    Terminated,
    /// It was released after an error.
    Failed,
    /// It was released with unread bytes, or in the middle of a request or a reply.
    Incomplete,
    /// While it was idle, its peer closed it or sent something.
    Stale,
    /// It reached the idle timeout.
    Expired,
    /// It was used as often as `n_conn_max_hits` or its server allows.
    UsedUp,
    /// It was closed to make room for another connection, at `n_conn_max`.
    Evicted,
    /// Its host left the list, its address left the name, its context was freed, or the TLS settings changed.
    Left,
    /// Its host was blacklisted because something failed.
    HostOut,
}

/// The number of reasons.
pub const CLOSE_REASONS: usize = CloseReason::HostOut as usize + 1;

/// The names of the reasons, by `CloseReason as usize`.
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

/// The upper bounds of the buckets that waits of checkouts are counted in. The attempt delay of happy eyeballs and the
/// default connect timeout are among them.
pub const WAIT_BOUNDS: [Duration; 13] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
];

/// The number of buckets: the last has no upper bound.
const BUCKETS: usize = WAIT_BOUNDS.len() + 1;

/// Counters of one context.
#[derive(Default)]
pub struct Metrics {
    created: AtomicU64,
    closed: [AtomicU64; CLOSE_REASONS],
    failed: AtomicU64,
    waits: [AtomicU64; BUCKETS],
    waited: AtomicU64,
    longest_wait: AtomicU64,
    limit_waits: AtomicU64,
    limit_timeouts: AtomicU64,
}

/// The values of [`Metrics`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were opened.
    pub created: u64,
    /// Connections that were closed, by `CloseReason as usize`.
    pub closed: [u64; CLOSE_REASONS],
    /// Checkouts that failed.
    pub failed: u64,
    /// Checkouts that found no idle connection and had to wait.
    pub waits: u64,
    /// The number of these in each bucket of [`WAIT_BOUNDS`], and in one without an upper bound.
    pub wait_counts: [u64; BUCKETS],
    /// The total time that these took.
    pub waited: Duration,
    /// The time that the longest of them took.
    pub longest_wait: Duration,
    /// Checkouts that began to wait at the limit.
    pub limit_waits: u64,
    /// Those of them whose time was over before there was a connection.
    pub limit_timeouts: u64,
}

impl Counts {
    /// The number of open connections, idle or in use.
    pub fn open(&self) -> u64 {
        self.created.saturating_sub(self.closed.iter().sum())
    }
}

impl Metrics {
    /// Counts a connection that was opened.
    pub fn created(&self) {
        self.created.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was closed.
    pub fn closed(&self, why: CloseReason) {
        self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a checkout that found no idle connection: it began at `since` and has ended now.
    pub fn waited(&self, since: Moment, has_failed: bool) {
        let nanoseconds = Moment::precise().nanoseconds().saturating_sub(since.nanoseconds());
        let bucket = WAIT_BOUNDS.iter().take_while(|bound| bound.as_nanos() < nanoseconds.into()).count();
        self.waits[bucket].fetch_add(1, Ordering::Relaxed);
        self.waited.fetch_add(nanoseconds, Ordering::Relaxed);
        if nanoseconds > self.longest_wait.load(Ordering::Relaxed) {
            self.longest_wait.fetch_max(nanoseconds, Ordering::Relaxed);
        }
        if has_failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a checkout that begins to wait at the limit.
    pub fn limit_wait(&self) {
        self.limit_waits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a checkout that has waited at the limit in vain.
    pub fn limit_timeout(&self) {
        self.limit_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    /// Restarts from zero, in a forked child.
    pub fn forget_parent(&self) {
        let Metrics { created, closed, failed, waits, waited, longest_wait, limit_waits, limit_timeouts } =
            self;
        let all = [created, failed, waited, longest_wait, limit_waits, limit_timeouts];
        let all = all.into_iter().chain(closed).chain(waits);
        all.for_each(|count| count.store(0, Ordering::Relaxed));
    }

    /// The values so far.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let wait_counts = self.waits.each_ref().map(read);
        Counts {
            // `closed` is read first: otherwise more connections might seem closed than opened.
            closed: self.closed.each_ref().map(read),
            created: read(&self.created),
            failed: read(&self.failed),
            waits: wait_counts.iter().sum(),
            wait_counts,
            waited: Duration::from_nanos(read(&self.waited)),
            longest_wait: Duration::from_nanos(read(&self.longest_wait)),
            limit_waits: read(&self.limit_waits),
            limit_timeouts: read(&self.limit_timeouts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_by_their_length() {
        let metrics = Metrics::default();
        let not_yet = Moment::precise().after(Duration::from_secs(3600));
        metrics.waited(not_yet, false);
        let counts = metrics.counts();
        assert_eq!((counts.waits, counts.wait_counts[0], counts.failed), (1, 1, 0), "no time");
        assert_eq!((counts.waited, counts.longest_wait), (Duration::ZERO, Duration::ZERO));
        metrics.waited(Moment::default(), true);
        let counts = metrics.counts();
        assert_eq!(
            (counts.waits, counts.wait_counts[BUCKETS - 1], counts.failed),
            (2, 1, 1),
            "since the start"
        );
        assert!(counts.longest_wait > Duration::ZERO && counts.waited == counts.longest_wait);
        metrics.waited(not_yet, false);
        assert_eq!(metrics.counts().longest_wait, counts.longest_wait, "a shorter one changes nothing");
    }

    #[test]
    fn connections_and_waits_at_the_limit_are_counted() {
        let metrics = Metrics::default();
        for _ in 0..3 {
            metrics.created();
        }
        metrics.closed(CloseReason::Stale);
        metrics.limit_wait();
        metrics.limit_wait();
        metrics.limit_timeout();
        let counts = metrics.counts();
        assert_eq!((counts.open(), counts.closed[CloseReason::Stale as usize]), (2, 1));
        assert_eq!((counts.limit_waits, counts.limit_timeouts), (2, 1));
        metrics.forget_parent();
        assert_eq!((metrics.counts().limit_waits, metrics.counts().open()), (0, 0));
    }
}
