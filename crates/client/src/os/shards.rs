//! A value several times over, so that threads that use it at the same time write to different memory.
#![forbid(unsafe_code)]

use std::array;

use crate::os::fork::{self, SHARDS};
use crate::os::lock::{SpinGuard, SpinLock};

/// One value a shard; a thread always comes to the same.
pub struct Shards<T> {
    shards: [Shard<T>; SHARDS],
}

/// Processors fetch cache lines by pairs of 64 bytes: no two shards lie in one pair.
#[repr(align(128))]
struct Shard<T>(SpinLock<T>);

/// The number of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardNumber(u8);

impl ShardNumber {
    /// The calling thread's.
    #[inline]
    pub fn own() -> ShardNumber {
        ShardNumber(fork::own_shard() as u8)
    }
}

impl<T> Shards<T> {
    /// Shards with a value each.
    pub fn new(mut value: impl FnMut() -> T) -> Shards<T> {
        Shards { shards: array::from_fn(|_| Shard(SpinLock::new(value()))) }
    }

    /// One shard.
    #[inline]
    pub fn shard(&self, ShardNumber(number): ShardNumber) -> SpinGuard<'_, T> {
        self.shards[usize::from(number) % SHARDS].0.lock()
    }

    /// Every shard that a thread has, one after the other: the calling thread's, then those next to it.
    pub fn own_first(&self) -> impl Iterator<Item = SpinGuard<'_, T>> {
        let ShardNumber(own) = ShardNumber::own();
        let count = fork::shards_in_use();
        (0..count).map(move |step| self.shard(ShardNumber(((usize::from(own) + step) % count) as u8)))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_to_its_lane() {
        let shards = Shards::new(|| 0);
        *shards.shard(ShardNumber::own()) = 7;
        assert_eq!(*shards.shard(ShardNumber::own()), 7);
        let all: Vec<i32> = shards.own_first().map(|shard| *shard).collect();
        assert_eq!((all[0], all.iter().sum::<i32>(), all.len()), (7, 7, SHARDS));
    }

    #[test]
    fn threads_spread_over_the_lanes() {
        let shards = Shards::new(|| 0);
        thread::scope(|scope| {
            for _ in 0..SHARDS {
                scope.spawn(|| *shards.shard(ShardNumber::own()) += 1);
            }
        });
        let used = shards.own_first().filter(|shard| **shard > 0).count();
        // Threads of other tests may take numbers in between.
        assert!(used >= SHARDS / 2, "{used} shards for {SHARDS} threads");
    }
}
