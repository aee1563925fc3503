//! The state that the library keeps for each thread.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use crate::os::sync::atomic::{AtomicU32, Ordering};
use crate::os::sync::thread_local;

/// The number of shards over which per-thread state is spread. Threads share shards if there are more of them.
pub const SHARDS: usize = 16;

/// The shard of the threads that the library starts itself ([`be_helper`]). They come and go, and must not use up the
/// shards of the program's threads.
pub const HELPERS: usize = SHARDS;

/// The number of threads that have got a shard so far. Threads that have ended are included.
static THREADS: AtomicU32 = AtomicU32::new(0);

/// The calling thread's state.
pub struct Thread {
    /// The number of its shard; `u8::MAX` before the first use.
    shard: Cell<u8>,
    /// The number of times that it is inside each kind of gate: sections, TLS steps and calls of the resolver nest.
    pub depths: [Cell<u32>; 3],
    /// True while it is in fork(2). Fork handlers of the program may call this library meanwhile.
    pub is_forking: Cell<bool>,
}

thread_local! {
    pub static THREAD: Thread = const {
        Thread { shard: Cell::new(u8::MAX), depths: [const { Cell::new(0) }; 3], is_forking: Cell::new(false) }
    };
}

impl Thread {
    /// Returns the number of its shard.
    #[inline]
    pub fn shard(&self) -> usize {
        match self.shard.get() {
            u8::MAX => self.take_shard(),
            shard => usize::from(shard),
        }
    }

    #[cold]
    fn take_shard(&self) -> usize {
        let shard = THREADS.fetch_add(1, Ordering::SeqCst) as usize % SHARDS;
        self.shard.set(shard as u8);
        shard
    }
}

/// Returns the number of the calling thread's shard. Threads get shards in turn, at their first call.
#[inline]
pub fn own_shard() -> usize {
    THREAD.with(Thread::shard)
}

/// Gives the calling thread, which the library has started, the shard of such threads. To be called before it takes a
/// lock.
pub fn be_helper() {
    THREAD.with(|thread| thread.shard.set(HELPERS as u8));
}

/// Returns a number that no other living thread has. It does not change when the thread forks: the child's thread has
/// the number of the thread that called fork(2).
pub fn own_thread() -> usize {
    THREAD.with(|thread| ptr::from_ref(thread).addr())
}

/// Returns the number of shards that a thread has got.
pub fn shards_in_use() -> usize {
    (THREADS.load(Ordering::Relaxed) as usize).min(SHARDS)
}

/// True if another thread may have the calling thread's shard.
pub fn is_shard_shared() -> bool {
    THREADS.load(Ordering::SeqCst) as usize > SHARDS || own_shard() == HELPERS
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn threads_of_the_library_take_no_shard_from_the_programs() {
        let helper = std::thread::spawn(|| {
            be_helper();
            (own_shard(), is_shard_shared())
        });
        assert_eq!(helper.join().unwrap(), (HELPERS, true));
        assert!(own_shard() < SHARDS);
    }
}
