//! The limits of a context on the reuse of its connections.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::clock::{self, Moment};

/// The limits of a context on the reuse of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The idle timeout in nanoseconds, [`LONGEST`] at most: a connection that was idle for this long is closed.
    idle_nanoseconds: i64,
    /// The number of reuses after which a connection is closed.
    pub(super) reuses: u32,
}

impl Limits {
    /// An idle timeout, and a number of reuses.
    pub fn new(idle_time: Duration, reuses: u32) -> Limits {
        Limits { idle_nanoseconds: signed(idle_time), reuses }
    }

    /// An idle timeout in seconds, of which a negative one is over at once, and a number of reuses.
    #[inline]
    pub fn from_seconds(idle_time: i32, reuses: u32) -> Limits {
        Limits { idle_nanoseconds: i64::from(idle_time) * 1_000_000_000, reuses }
    }

    /// Returns whether a connection has been idle for too long. `allowed_nanoseconds` is the time for which its server lets
    /// it be idle.
    #[inline(always)]
    pub fn are_over(self, idle: IdleTime, allowed_nanoseconds: i64) -> bool {
        self.idle_nanoseconds.min(allowed_nanoseconds) <= idle.0
    }
}

/// The time for which a connection has been idle, in nanoseconds. It is negative if another thread has read the clock since.
#[derive(Clone, Copy)]
pub struct IdleTime(i64);

impl IdleTime {
    /// Returns the time since then. There is no overflow: the monotonic clock begins when the machine starts.
    #[inline(always)]
    pub fn since(then: Moment, now: Moment) -> IdleTime {
        IdleTime(now.nanoseconds() as i64 - then.nanoseconds() as i64)
    }

    /// True if the connection has to be looked at more closely.
    #[inline(always)]
    pub fn is_rest(self) -> bool {
        self.0 >= REST
    }
}

/// The time in nanoseconds after which an idle connection is looked at more closely before it is reused. A program may have
/// closed the descriptors of others, as daemons do when they start, and then opened files of its own: only the kernel can
/// tell whether a silent socket is still the connection. In a busy program that call would be noticed. HikariCP, a pool of
/// connections to databases, also leaves its test out for 500 ms (`aliveBypassWindowMs`).
const REST: i64 = 500_000_000;

/// An idle timeout of 146 years.
const LONGEST: i64 = 1 << 62;

/// Returns a time in nanoseconds, [`LONGEST`] at most.
pub fn signed(time: Duration) -> i64 {
    clock::nanoseconds(time).min(LONGEST as u64) as i64
}
