//! Mutexes that are unlocked in a forked child, with consistent data behind them.
//!
//! The types are parking_lot's (`lock_api`). The raw locks are our own, for two reasons:
//! - parking_lot's raw lock keeps waiting threads in a table of the process, which has locks of its own. A forked
//!   child may find these locked (https://github.com/Amanieu/parking_lot/issues/515).
//! - A thread that waits on it for the first time registers a destructor. If memory is short, glibc then ends the
//!   process.
//!
//! A lock is held within a [`Section`], and a fork waits for the end of all sections.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use parking_lot::lock_api::{GuardNoSend, Mutex, MutexGuard, RawMutex};

use crate::os::fork::{self, Section};
use crate::os::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::os::sync::{futex_wait, futex_wake};

/// A mutex on which threads sleep.
pub type Lock<T> = LockBy<Futex, T>;

/// A spin lock, for data that two threads seldom want at the same time. No thread sleeps on it, so that unlocking
/// is a plain store.
pub type SpinLock<T> = LockBy<Spin, T>;

/// The guard of a [`SpinLock`].
pub type SpinGuard<'a, T> = Guard<'a, Spin, T>;

/// A mutex over the raw lock `R`.
pub struct LockBy<R, T> {
    inner: Mutex<R, T>,
}

/// The guard of a lock: it gives access to the data, and unlocks when it is dropped.
pub struct Guard<'a, R: RawMutex, T> {
    // Dropped first, so that the lock is unlocked before the section ends: fields are dropped in this order.
    inner: MutexGuard<'a, R, T>,
    _section: Section,
}

impl<R: RawMutex, T> LockBy<R, T> {
    /// Makes an unlocked mutex.
    pub const fn new(value: T) -> LockBy<R, T> {
        LockBy { inner: Mutex::new(value) }
    }

    /// Locks. Until the guard is dropped, the thread must make no system call but to wait for another lock, or to wake
    /// a thread that waits for one. It must call no foreign code but malloc(3).
    #[inline]
    pub fn lock(&self) -> Guard<'_, R, T> {
        lock(&self.inner)
    }

    /// True if a thread holds it.
    #[cfg(all(test, model))]
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }
}

#[inline]
fn lock<R: RawMutex, T>(mutex: &Mutex<R, T>) -> Guard<'_, R, T> {
    let section = Section::enter();
    Guard { inner: mutex.lock(), _section: section }
}

impl<R: RawMutex, T: Default> Default for LockBy<R, T> {
    fn default() -> LockBy<R, T> {
        LockBy::new(T::default())
    }
}

impl<R: RawMutex, T> Deref for Guard<'_, R, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<R: RawMutex, T> DerefMut for Guard<'_, R, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// A raw lock in one word, on which threads sleep by futex(2).
pub struct Futex(AtomicU32);

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and a thread may sleep on it.
const CONTENDED: u32 = 2;

/// The number of times that a thread tries again before it sleeps.
const ROUNDS: u32 = if cfg!(model) { 1 } else { 100 };

// SAFETY: one thread at a time changes the word from FREE, and only `unlock` changes it back.
unsafe impl RawMutex for Futex {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait requires it")]
    const INIT: Futex = Futex(AtomicU32::new(FREE));

    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Ordering::Release) == CONTENDED {
            futex_wake(&self.0, 1);
        }
    }

    #[cfg(all(test, model))]
    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != FREE
    }
}

impl Futex {
    /// Waits until the lock is free, and takes it: after "Futexes Are Tricky" (Drepper, 2011).
    #[cold]
    fn wait(&self) {
        for round in 0..ROUNDS {
            if self.0.load(Ordering::Relaxed) == FREE && self.try_lock() {
                return;
            }
            fork::pause(round);
        }
        while self.0.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex_wait(&self.0, CONTENDED, None);
        }
    }
}

/// A raw lock for which threads wait by trying again.
pub struct Spin(AtomicBool);

// SAFETY: one thread at a time changes the flag from false to true, and only `unlock` changes it back.
unsafe impl RawMutex for Spin {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait requires it")]
    const INIT: Spin = Spin(AtomicBool::new(false));

    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        if cfg!(model = "loom") {
            // Loom does not know that an exchange which has failed stands before the store that unlocks, and would let
            // it undo that.
            return self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        }
        !self.0.swap(true, Ordering::Acquire)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }

    #[cfg(all(test, model))]
    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Spin {
    /// Waits until the lock is free, and takes it. That is soon, unless the holder has lost its processor.
    #[cold]
    fn wait(&self) {
        let mut round = 0_u32;
        while self.0.load(Ordering::Relaxed) || !self.try_lock() {
            fork::pause(round);
            round = round.saturating_add(1);
        }
    }
}

/// A condition variable for a [`Lock`].
#[derive(Default)]
pub struct Condvar {
    /// The number of notifications so far.
    notified: AtomicU32,
    /// The number of waiting threads; in a forked child, those of the parent may count too.
    waiting: AtomicU32,
}

impl Condvar {
    /// Unlocks, waits for a notification or the timeout, and locks again. May return earlier.
    pub fn wait_timeout<'a, T>(&self, guard: Guard<'a, Futex, T>, timeout: Duration) -> Guard<'a, Futex, T> {
        let seen = self.notified.load(Ordering::Relaxed);
        // Under the lock, so that whoever changes the data afterwards sees it.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mutex = MutexGuard::mutex(&guard.inner);
        drop(guard);
        futex_wait(&self.notified, seen, Some(timeout));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        lock(mutex)
    }

    /// Returns the number of waiting threads.
    #[cfg(test)]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Wakes all waiting threads. To be called after the data was changed under the lock. No system call if none waits.
    pub fn notify_all(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.notified.fetch_add(1, Ordering::Release);
            futex_wake(&self.notified, i32::MAX);
        }
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use std::hint;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn excludes_other_threads<R: RawMutex + Sync>() {
        const ROUNDS: u64 = 20_000;
        let count = LockBy::<R, u64>::new(0);
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

    fn waits_for_a_sleeping_holder<R: RawMutex + Sync>() {
        let lock = LockBy::<R, i32>::new(0);
        thread::scope(|scope| {
            let mut held = lock.lock();
            scope.spawn(|| *lock.lock() *= 2);
            thread::sleep(Duration::from_millis(20));
            *held = 21;
        });
        assert_eq!(*lock.lock(), 42);
    }

    #[test]
    fn one_thread_at_a_time_holds_a_lock() {
        excludes_other_threads::<Spin>();
        excludes_other_threads::<Futex>();
    }

    #[test]
    fn a_thread_waits_for_a_holder_that_sleeps() {
        waits_for_a_sleeping_holder::<Spin>();
        waits_for_a_sleeping_holder::<Futex>();
    }

    #[test]
    fn a_thread_waits_for_a_notification_or_the_timeout() {
        let (lock, condition) = (Lock::new(false), Condvar::default());
        let (waits, is_waiting) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut is_true = lock.lock();
                waits.send(()).unwrap();
                while !*is_true {
                    is_true = condition.wait_timeout(is_true, Duration::from_secs(20));
                }
            });
            is_waiting.recv().unwrap();
            *lock.lock() = true;
            condition.notify_all();
            waiter.join().unwrap();
        });
        let guard = condition.wait_timeout(lock.lock(), Duration::from_millis(1));
        assert!(*guard, "locked again after the timeout");
    }
}
