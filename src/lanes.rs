//! A value several times over, so that threads that use it at the same time write to different memory.
#![forbid(unsafe_code)]

use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::LocalKey;

use crate::lock::{BriefGuard, BriefLock, Fork};

/// More threads than that share lanes.
const LANES: usize = 16;

/// One value a lane; a thread always comes to the same.
pub struct Lanes<T> {
    lanes: [Lane<T>; LANES],
}

/// Processors fetch cache lines by pairs of 64 bytes: no two lanes lie in one pair.
#[repr(align(128))]
struct Lane<T>(BriefLock<T>);

/// How many threads have a lane.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The number of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneNumber(u8);

impl LaneNumber {
    /// The calling thread's. Threads are numbered as they come.
    #[inline]
    pub fn own() -> LaneNumber {
        const NONE: u8 = u8::MAX;
        thread_local! {
            static OWN: Cell<u8> = const { Cell::new(NONE) };
        }
        match OWN.get() {
            NONE => LaneNumber::take(&OWN),
            own => LaneNumber(own),
        }
    }

    #[cold]
    fn take(own: &'static LocalKey<Cell<u8>>) -> LaneNumber {
        own.set((THREADS.fetch_add(1, Ordering::Relaxed) % LANES) as u8);
        LaneNumber(own.get())
    }
}

impl<T> Lanes<T> {
    /// Lanes with a value each.
    pub fn new(mut value: impl FnMut() -> T) -> Lanes<T> {
        Lanes { lanes: array::from_fn(|_| Lane(BriefLock::new(value()))) }
    }

    /// One lane.
    #[inline]
    pub fn lane(&self, LaneNumber(number): LaneNumber) -> BriefGuard<'_, T> {
        self.lanes[usize::from(number) % LANES].0.lock()
    }

    /// Every lane that a thread has, one after the other: the calling thread's, then those next to it.
    pub fn own_first(&self) -> impl Iterator<Item = BriefGuard<'_, T>> {
        let LaneNumber(own) = LaneNumber::own();
        let count = THREADS.load(Ordering::Relaxed).min(LANES);
        (0..count).map(move |step| self.lane(LaneNumber(((usize::from(own) + step) % count) as u8)))
    }

    /// See [`crate::lock::LockBy::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        self.lanes.iter().for_each(|lane| lane.0.at_fork(phase, |_| {}));
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
        assert_eq!((all[0], all.iter().sum::<i32>(), all.len()), (7, 7, LANES));
    }

    #[test]
    fn threads_spread_over_the_lanes() {
        let lanes = Lanes::new(|| 0);
        thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| *lanes.lane(LaneNumber::own()) += 1);
            }
        });
        let used = lanes.own_first().filter(|lane| **lane > 0).count();
        // Threads of other tests may take numbers in between.
        assert!(used >= LANES / 2, "{used} lanes for {LANES} threads");
    }
}
