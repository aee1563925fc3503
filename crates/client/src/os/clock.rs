//! Monotonic time for what takes seconds: idle times, blacklisting, name look-ups.
//!
//! A change of the wall clock has no effect on them. Deadlines of single waits need more precision and use
//! [`std::time::Instant`].
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::sys;

/// More than the error of [`Moment::now`].
pub const TICK: Duration = Duration::from_millis(11);

/// A point in monotonic time, exact to a few milliseconds (one kernel tick).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    nanoseconds: u64,
}

impl Moment {
    /// A moment that never comes.
    pub const NEVER: Moment = Moment { nanoseconds: u64::MAX };

    /// Returns the current time.
    #[inline]
    pub fn now() -> Moment {
        Moment::from_nanoseconds(sys::coarse_monotonic_nanoseconds())
    }

    /// Returns the current time, exact to the nanosecond. Takes longer than [`Moment::now`].
    pub fn precise() -> Moment {
        Moment::from_nanoseconds(sys::monotonic_nanoseconds())
    }

    /// Makes a moment from the nanoseconds since the clock's origin.
    #[inline]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Moment {
        Moment { nanoseconds }
    }

    /// Returns the nanoseconds since the clock's origin, for an atomic variable.
    #[inline]
    pub fn nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// Returns the time since an earlier moment. Zero if that is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }

    /// Returns the moment that is `delay` later.
    #[inline]
    pub fn after(self, delay: Duration) -> Moment {
        Moment { nanoseconds: self.nanoseconds.saturating_add(nanoseconds(delay)) }
    }

    /// Returns the moment that is `delay` earlier, or the clock's origin.
    pub fn before(self, delay: Duration) -> Moment {
        Moment { nanoseconds: self.nanoseconds.saturating_sub(nanoseconds(delay)) }
    }
}

/// Returns a time in nanoseconds. `Duration::as_nanos` computes with 128 bits, which takes several times as long on the
/// hot path.
#[inline]
pub fn nanoseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into())
}

/// Returns a time in seconds, rounded up.
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// Returns a number of seconds from C as a duration. `None` for a negative number.
pub fn seconds(count: i32) -> Option<Duration> {
    u64::try_from(count).ok().map(Duration::from_secs)
}

/// Returns a time in seconds from C for which a host is blacklisted. `None` for -1, which is for good. Zero for any
/// other negative number.
pub fn expiry(seconds: i64) -> Option<Duration> {
    (seconds != -1).then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Returns a number of milliseconds from C as a duration. `None` for a negative number.
pub fn milliseconds(count: i32) -> Option<Duration> {
    u64::try_from(count).ok().map(Duration::from_millis)
}
