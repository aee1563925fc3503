//! Values that exist once per shard, so that threads which use them at the same time write to different memory.
#![forbid(unsafe_code)]

use std::array;

use crossbeam_utils::CachePadded;

use crate::os::fork::{self, SHARDS};
use crate::os::lock::{SpinGuard, SpinLock};

/// A value for each shard. A thread always uses the same shard.
pub struct Shards<T> {
    shards: [CachePadded<SpinLock<T>>; SHARDS],
}

/// The number of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardNumber(u8);

impl ShardNumber {
    /// Returns the number of the calling thread's shard.
    #[inline]
    pub fn own() -> ShardNumber {
        ShardNumber(fork::own_shard() as u8)
    }
}

impl<T> Shards<T> {
    /// Makes all shards; `value` returns the value of each.
    pub fn new(mut value: impl FnMut() -> T) -> Shards<T> {
        Shards { shards: array::from_fn(|_| CachePadded::new(SpinLock::new(value()))) }
    }

    /// Locks one shard.
    #[inline]
    pub fn shard(&self, ShardNumber(number): ShardNumber) -> SpinGuard<'_, T> {
        self.shards[usize::from(number) % SHARDS].lock()
    }

    /// True if a thread holds the lock of any.
    #[cfg(all(test, model))]
    pub fn is_any_locked(&self) -> bool {
        self.shards.iter().any(|shard| shard.is_locked())
    }

    /// Locks one after the other every shard that a thread uses: the calling thread's first, then those next to it.
    pub fn own_first(&self) -> impl Iterator<Item = SpinGuard<'_, T>> {
        let ShardNumber(own) = ShardNumber::own();
        let count = fork::shards_in_use();
        (0..count).map(move |step| self.shard(ShardNumber(((usize::from(own) + step) % count) as u8)))
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_its_shard() {
        let shards = Shards::new(|| 0);
        *shards.shard(ShardNumber::own()) = 7;
        assert_eq!(*shards.shard(ShardNumber::own()), 7);
        let all: Vec<i32> = shards.own_first().map(|shard| *shard).collect();
        assert_eq!((all[0], all.iter().sum::<i32>()), (7, 7));
    }

    #[test]
    fn threads_spread_over_the_shards() {
        let shards = Shards::new(|| 0);
        thread::scope(|scope| {
            for _ in 0..SHARDS {
                scope.spawn(|| *shards.shard(ShardNumber::own()) += 1);
            }
        });
        let used = shards.own_first().filter(|shard| **shard > 0).count();
        // Threads of other tests may get shards in between.
        assert!(used >= SHARDS / 2, "{used} shards for {SHARDS} threads");
    }
}
