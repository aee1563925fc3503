//! Monotonic time for decisions that last seconds: idle times, blacklisting, name look-ups.
//!
//! A step of the wall clock changes none of them. Deadlines of single waits need finer time and use
//! [`std::time::Instant`].
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::sys;

/// A point in monotonic time, exact to a few milliseconds (one kernel tick).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    nanoseconds: u64,
}

impl Moment {
    /// Later than any moment that this process will see.
    pub const NEVER: Moment = Moment { nanoseconds: u64::MAX };

    /// The current time.
    #[inline]
    pub fn now() -> Moment {
        Moment::from_nanoseconds(sys::coarse_monotonic_nanoseconds())
    }

    /// The current time, exact to the nanosecond; that takes longer to read.
    pub fn precise() -> Moment {
        Moment::from_nanoseconds(sys::monotonic_nanoseconds())
    }

    /// The moment that lies so many nanoseconds after the clock's origin.
    #[inline]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Moment {
        Moment { nanoseconds }
    }

    /// Nanoseconds since the clock's origin, as an atomic can hold them.
    #[inline]
    pub const fn nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// How long it is since an earlier moment; nothing if that is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }

    /// The moment `delay` later.
    #[inline]
    pub fn after(self, delay: Duration) -> Moment {
        // Not by Duration::as_nanos, whose 128 bits cost a multiple on the hot path.
        let delay = delay.as_secs().saturating_mul(1_000_000_000).saturating_add(delay.subsec_nanos().into());
        Moment { nanoseconds: self.nanoseconds.saturating_add(delay) }
    }
}

/// Seconds as C states them: nothing for a negative number.
pub fn seconds(count: i32) -> Option<Duration> {
    u64::try_from(count).ok().map(Duration::from_secs)
}

/// How long a blacklisting lasts, in seconds as C states them: nothing for -1, which is for good. With any other
/// negative number its end lies in the past.
pub fn expiry(seconds: i64) -> Option<Duration> {
    (seconds != -1).then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Milliseconds as C states them: nothing for a negative number.
pub fn milliseconds(count: i32) -> Option<Duration> {
    u64::try_from(count).ok().map(Duration::from_millis)
}
