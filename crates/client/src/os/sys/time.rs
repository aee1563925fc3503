//! Clocks.

use std::mem::MaybeUninit;
use std::ptr;
use std::time::{Duration, Instant};

/// Returns `CLOCK_MONOTONIC_COARSE` in nanoseconds (clock_gettime(2)). Reads shared memory, without a system call.
#[inline]
pub fn coarse_monotonic_nanoseconds() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC_COARSE)
}

/// Returns `CLOCK_MONOTONIC` in nanoseconds: the same time, exact, read from the processor's counter.
pub fn monotonic_nanoseconds() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

#[inline(always)]
fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is writable, and every Linux has these clocks, so that the call writes it.
    let time = unsafe {
        libc::clock_gettime(clock, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Returns the wall-clock time in seconds since 1970, for the public fields that C reads.
#[inline]
pub fn wall_clock_seconds() -> libc::time_t {
    // SAFETY: time(2) accepts NULL.
    unsafe { libc::time(ptr::null_mut()) }
}

/// Returns the instant `wait` from now. `None` is no deadline, as is a wait beyond the end of the clock.
pub fn deadline(wait: Option<Duration>) -> Option<Instant> {
    wait.and_then(|wait| Instant::now().checked_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_beyond_the_end_of_the_clock_has_no_deadline() {
        assert_eq!(deadline(Some(Duration::MAX)), None);
        assert_eq!(deadline(None), None);
        assert!(deadline(Some(Duration::ZERO)).is_some());
    }
}
