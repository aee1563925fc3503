//! Mutexes that a forked child finds unlocked, with whole data behind them.
//!
//! fork(2) copies a lock as it is, and only the forking thread with it: what another thread held stays
//! locked for ever in the child. So the handlers of pthread_atfork(3) take every lock before the fork, in
//! the order in which they nest, and let go of it on both sides.
//!
//! A lock must therefore keep nothing outside of itself: that is so for a futex and no more, as the standard
//! library's are, and not where a table of waiters has locks of its own.

use std::cell::Cell;
use std::hint;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix_futex_sync::lock_api::{GuardSend, Mutex, MutexGuard, RawMutex as Raw, RawRwLock as _};
use rustix_futex_sync::{RawMutex, RawRwLock};

use crate::sys;

/// The three handlers of a fork.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// It is about to happen.
    Prepare,
    /// It happened; this is the process that forked.
    Parent,
    /// It happened; this is the new process, with one thread.
    Child,
}

/// A mutex.
pub type Lock<T> = LockBy<RawMutex, T>;

/// A mutex that is held for some ten instructions, and hardly ever by two threads at once. Nobody sleeps
/// on it, so that letting go is a plain store: half the price of a [`Lock`].
pub type BriefLock<T> = LockBy<Brief, T>;

/// What a [`BriefLock`] gives while it is held.
pub type BriefGuard<'a, T> = MutexGuard<'a, Brief, T>;

/// A mutex of the kind `R`.
pub struct LockBy<R, T> {
    inner: Mutex<R, T>,
}

impl<R: Raw, T> LockBy<R, T> {
    /// An unlocked one.
    pub const fn new(value: T) -> LockBy<R, T> {
        LockBy { inner: Mutex::new(value) }
    }

    /// Takes the lock.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, R, T> {
        self.inner.lock()
    }

    /// Takes the lock before a fork and lets go of it afterwards; `visit` does the same for the locks within.
    ///
    /// To be called once in each phase, by the thread that forks: [`crate::abi::fork`] sees to that.
    pub fn at_fork(&self, phase: Fork, visit: impl FnOnce(&T)) {
        match phase {
            Fork::Prepare => mem::forget(self.inner.lock()),
            Fork::Parent | Fork::Child => {}
        }
        // SAFETY: this thread took the lock in the first phase and has not let go of it.
        visit(unsafe { &*self.inner.data_ptr() });
        match phase {
            Fork::Prepare => {}
            // SAFETY: as above; in the child the thread that goes on is the one that took the lock.
            Fork::Parent | Fork::Child => unsafe { self.inner.force_unlock() },
        }
    }
}

impl<R: Raw, T: Default> Default for LockBy<R, T> {
    fn default() -> LockBy<R, T> {
        LockBy::new(T::default())
    }
}

/// Whether somebody has a [`BriefLock`].
pub struct Brief(AtomicBool);

// SAFETY: whoever changes the flag from false to true has the lock, and they alone change it back.
unsafe impl Raw for Brief {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it so")]
    const INIT: Brief = Brief(AtomicBool::new(false));

    type GuardMarker = GuardSend;

    #[inline]
    fn lock(&self) {
        if self.0.swap(true, Ordering::Acquire) {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Brief {
    /// Takes the lock as soon as its holder lets go: at once, unless the holder was interrupted.
    #[cold]
    fn wait(&self) {
        let mut rounds = 0_u32;
        while self.is_locked() || !self.try_lock() {
            match rounds {
                0..100 => hint::spin_loop(),
                100..110 => thread::yield_now(),
                // A thread of higher priority has to stand aside for one of lower priority to go on.
                _ => sys::without_cancellation(|| thread::sleep(Duration::from_micros(50))),
            }
            rounds = rounds.saturating_add(1);
        }
    }
}

/// Holds up forks while code runs that has locks which we cannot take: a child would find them locked.
///
/// What passes must be short and take no [`Lock`] before it begins that a fork takes.
pub struct ForkBarrier {
    /// Shared by those who pass, exclusively held through a fork.
    inner: RawRwLock,
}

thread_local! {
    /// Whether this thread passes a barrier now. A callback that forks must not wait for itself.
    static PASSES: Cell<bool> = const { Cell::new(false) };
}

impl ForkBarrier {
    /// One that nobody passes.
    pub const fn new() -> ForkBarrier {
        ForkBarrier { inner: RawRwLock::INIT }
    }

    /// Runs what no fork may divide.
    pub fn pass<R>(&self, section: impl FnOnce() -> R) -> R {
        struct Passage<'a>(&'a RawRwLock);
        impl Drop for Passage<'_> {
            fn drop(&mut self) {
                PASSES.set(false);
                // SAFETY: taken below, by this thread.
                unsafe { self.0.unlock_shared() };
            }
        }
        if PASSES.get() {
            return section();
        }
        self.inner.lock_shared();
        PASSES.set(true);
        let _passage = Passage(&self.inner);
        section()
    }

    /// As [`Lock::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        if PASSES.get() {
            return;
        }
        match phase {
            Fork::Prepare => self.inner.lock_exclusive(),
            // SAFETY: this thread took it in the first phase.
            Fork::Parent | Fork::Child => unsafe { self.inner.unlock_exclusive() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_lock_lets_one_in_at_a_time() {
        const ROUNDS: u64 = 20_000;
        let count = BriefLock::new(0_u64);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let mut count = count.lock();
                        let seen = *count;
                        hint::black_box(&mut *count);
                        *count = seen + 1;
                    }
                });
            }
        });
        assert_eq!(*count.lock(), 4 * ROUNDS);
    }

    #[test]
    fn a_brief_lock_is_waited_for_while_its_holder_sleeps() {
        let lock = BriefLock::new(0);
        thread::scope(|scope| {
            let mut held = lock.lock();
            scope.spawn(|| *lock.lock() *= 2);
            thread::sleep(Duration::from_millis(20));
            *held = 21;
        });
        assert_eq!(*lock.lock(), 42);
    }

    #[test]
    fn a_child_finds_locks_open() {
        for phase in [Fork::Parent, Fork::Child] {
            let (lock, brief) = (Lock::new(1), BriefLock::new(2));
            lock.at_fork(Fork::Prepare, |_| {});
            brief.at_fork(Fork::Prepare, |_| {});
            assert!(lock.inner.is_locked() && brief.inner.is_locked());
            lock.at_fork(phase, |_| {});
            brief.at_fork(phase, |_| {});
            assert!(!lock.inner.is_locked() && !brief.inner.is_locked());
        }
    }

    #[test]
    fn a_fork_waits_for_those_who_pass_and_not_for_itself() {
        let (barrier, has_passed) = (ForkBarrier::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            let (begin, begun) = std::sync::mpsc::channel();
            let (barrier, has_passed) = (&barrier, &has_passed);
            scope.spawn(move || {
                barrier.pass(|| {
                    begin.send(()).unwrap();
                    thread::sleep(Duration::from_millis(20));
                    has_passed.store(true, Ordering::Relaxed);
                });
            });
            begun.recv().unwrap();
            barrier.at_fork(Fork::Prepare);
            assert!(has_passed.load(Ordering::Relaxed));
            barrier.at_fork(Fork::Child);
        });
        barrier.pass(|| {
            barrier.at_fork(Fork::Prepare);
            barrier.at_fork(Fork::Parent);
        });
    }
}
