//! A value several times over, so that threads that use it at the same time write to different memory.
#![forbid(unsafe_code)]

use std::array;

use crate::os::fork::{self, SHARDS};
use crate::os::lock::{SpinGuard, SpinLock};

/// One value a lane; a thread always comes to the same.
pub struct Lanes<T> {
    lanes: [Lane<T>; SHARDS],
}

/// Processors fetch cache lines by pairs of 64 bytes: no two lanes lie in one pair.
#[repr(align(128))]
struct Lane<T>(SpinLock<T>);

/// The number of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneNumber(u8);

impl LaneNumber {
    /// The calling thread's.
    #[inline]
    pub fn own() -> LaneNumber {
        LaneNumber(fork::own_shard() as u8)
    }
}

impl<T> Lanes<T> {
    /// Lanes with a value each.
    pub fn new(mut value: impl FnMut() -> T) -> Lanes<T> {
        Lanes { lanes: array::from_fn(|_| Lane(SpinLock::new(value()))) }
    }

    /// One lane.
    #[inline]
    pub fn lane(&self, LaneNumber(number): LaneNumber) -> SpinGuard<'_, T> {
        self.lanes[usize::from(number) % SHARDS].0.lock()
    }

    /// Every lane that a thread has, one after the other: the calling thread's, then those next to it.
    pub fn own_first(&self) -> impl Iterator<Item = SpinGuard<'_, T>> {
        let LaneNumber(own) = LaneNumber::own();
        let count = fork::shards_in_use();
        (0..count).map(move |step| self.lane(LaneNumber(((usize::from(own) + step) % count) as u8)))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_to_its_lane() {
        let lanes = Lanes::new(|| 0);
        *lanes.lane(LaneNumber::own()) = 7;
        assert_eq!(*lanes.lane(LaneNumber::own()), 7);
        let all: Vec<i32> = lanes.own_first().map(|lane| *lane).collect();
        assert_eq!((all[0], all.iter().sum::<i32>(), all.len()), (7, 7, SHARDS));
    }

    #[test]
    fn threads_spread_over_the_lanes() {
        let lanes = Lanes::new(|| 0);
        thread::scope(|scope| {
            for _ in 0..SHARDS {
                scope.spawn(|| *lanes.lane(LaneNumber::own()) += 1);
            }
        });
        let used = lanes.own_first().filter(|lane| **lane > 0).count();
        // Threads of other tests may take numbers in between.
        assert!(used >= SHARDS / 2, "{used} lanes for {SHARDS} threads");
    }
}
