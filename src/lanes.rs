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

impl<T> Lanes<T> {
    /// Lanes with a value each.
    pub fn new(mut value: impl FnMut() -> T) -> Lanes<T> {
        Lanes { lanes: array::from_fn(|_| Lane(BriefLock::new(value()))) }
    }

    /// The lane of the calling thread.
    #[inline]
    pub fn own(&self) -> BriefGuard<'_, T> {
        self.lanes[number_of_thread() % LANES].0.lock()
    }

    /// Every lane, one after the other: the calling thread's, then those next to it.
    pub fn own_first(&self) -> impl Iterator<Item = BriefGuard<'_, T>> {
        let own = number_of_thread();
        (0..LANES).map(move |step| self.lanes[(own + step) % LANES].0.lock())
    }

    /// See [`crate::lock::LockBy::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        self.lanes.iter().for_each(|lane| lane.0.at_fork(phase, |_| {}));
    }
}

/// Threads are numbered as they come.
#[inline]
pub fn number_of_thread() -> usize {
    const NONE: usize = usize::MAX;
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(NONE) };
    }
    match NUMBER.get() {
        NONE => take_number(&NUMBER),
        number => number,
    }
}

#[cold]
fn take_number(own: &'static LocalKey<Cell<usize>>) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
    own.set(number);
    number
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_to_its_lane() {
        let lanes = Lanes::new(|| 0);
        *lanes.own() = 7;
        assert_eq!(*lanes.own(), 7);
        let all: Vec<i32> = lanes.own_first().map(|lane| *lane).collect();
        assert_eq!((all[0], all.iter().sum::<i32>(), all.len()), (7, 7, LANES));
    }

    #[test]
    fn threads_spread_over_the_lanes() {
        let lanes = Lanes::new(|| 0);
        thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| *lanes.own() += 1);
            }
        });
        let used = lanes.own_first().filter(|lane| **lane > 0).count();
        // Threads of other tests may take numbers in between.
        assert!(used >= LANES / 2, "{used} lanes for {LANES} threads");
    }
}
