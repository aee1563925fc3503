//! The limits of a context on the reuse of its connections.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::clock::{self, Moment};

/// The limits of a context on the reuse of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The idle timeout in nanoseconds, [`LONGEST`] at most: a connection that was idle for this long is closed.
    pub(super) idle_nanoseconds: u64,
    /// The number of reuses after which a connection is closed.
    pub(super) reuses: u32,
}

impl Limits {
    /// An idle timeout, and a number of reuses.
    #[inline]
    pub fn new(idle_time: Duration, reuses: u32) -> Limits {
        Limits { idle_nanoseconds: clock::nanoseconds(idle_time).min(LONGEST), reuses }
    }

    /// Returns the end of the time for which a connection that was released at `since` can be used. `useful` is the
    /// number of nanoseconds for which its server lets it be idle.
    #[inline(always)]
    pub fn end(self, since: Moment, useful: u64) -> Moment {
        // No overflow: the monotonic clock begins when the machine starts. A saturating sum would take two more
        // instructions on the hot path.
        Moment::from_nanoseconds(since.nanoseconds() + self.idle_nanoseconds.min(useful))
    }
}

/// An idle timeout of 146 years.
const LONGEST: u64 = 1 << 62;
