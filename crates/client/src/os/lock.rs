//! Mutexes that a forked child finds unlocked, with whole data behind them.
//!
//! The types are parking_lot's (`lock_api`), the raw locks below them are our own, for two reasons. parking_lot's raw
//! lock queues the threads that wait in a table of the process, which has locks of its own: by itself that is not safe
//! at a fork (14 of 440 children hung). And a thread that waits for the first time registers a destructor, for which
//! glibc ends the process if it has no memory.
//!
//! Each lock is held within a [`Section`], which no fork divides.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::lock_api::{GuardNoSend, Mutex, MutexGuard, RawMutex};

use crate::os::fork::{self, Section};
use crate::os::sys;

/// A mutex.
pub type Lock<T> = LockBy<Futex, T>;

/// A mutex for a few instructions, hardly ever wanted by two threads at once. Nobody sleeps on it, so that
/// unlocking is a plain store.
pub type SpinLock<T> = LockBy<Spin, T>;

/// Access to what a [`SpinLock`] guards.
pub type SpinGuard<'a, T> = Guard<'a, Spin, T>;

/// A mutex over the raw lock `R`.
pub struct LockBy<R, T> {
    inner: Mutex<R, T>,
}

/// Access to what a lock guards, until it is dropped.
pub struct Guard<'a, R: RawMutex, T> {
    /// Dropped first: the lock is free before the section ends.
    inner: MutexGuard<'a, R, T>,
    _section: Section,
}

impl<R: RawMutex, T> LockBy<R, T> {
    /// An unlocked one.
    pub const fn new(value: T) -> LockBy<R, T> {
        LockBy { inner: Mutex::new(value) }
    }

    /// Takes the lock. What is done until the guard is dropped must not wait, make system calls or call foreign
    /// code.
    #[inline]
    pub fn lock(&self) -> Guard<'_, R, T> {
        lock(&self.inner)
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

/// A raw lock in one word, on which threads wait by futex(2).
pub struct Futex(AtomicU32);

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and a thread may be waiting.
const CONTENDED: u32 = 2;

// SAFETY: the thread that changes the word from FREE has the lock, and only `unlock` changes it back.
unsafe impl RawMutex for Futex {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it so")]
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
            sys::futex_wake(&self.0, 1);
        }
    }
}

impl Futex {
    /// Takes the lock when it becomes free; the simple mutex of "Futexes Are Tricky" (Drepper, 2011), section 5.
    #[cold]
    fn wait(&self) {
        for round in 0..100 {
            if self.0.load(Ordering::Relaxed) == FREE && self.try_lock() {
                return;
            }
            fork::pause(round);
        }
        while self.0.swap(CONTENDED, Ordering::Acquire) != FREE {
            sys::futex_wait(&self.0, CONTENDED, None);
        }
    }
}

/// A raw lock that threads wait for by trying again.
pub struct Spin(AtomicBool);

// SAFETY: the thread that changes the flag from false to true has the lock, and only `unlock` changes it back.
unsafe impl RawMutex for Spin {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait wants it so")]
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
        !self.0.swap(true, Ordering::Acquire)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Spin {
    /// Takes the lock when it becomes free: at once, unless its holder was interrupted.
    #[cold]
    fn wait(&self) {
        let mut round = 0_u32;
        while self.0.load(Ordering::Relaxed) || !self.try_lock() {
            fork::pause(round);
            round = round.saturating_add(1);
        }
    }
}

/// A condition that threads wait for, of a [`Lock`].
#[derive(Default)]
pub struct Condvar {
    /// Counts the notifications.
    notified: AtomicU32,
}

impl Condvar {
    /// Unlocks, waits for a notification or `timeout`, and locks again. It may return without either.
    pub fn wait_timeout<'a, T>(&self, guard: Guard<'a, Futex, T>, timeout: Duration) -> Guard<'a, Futex, T> {
        let seen = self.notified.load(Ordering::Relaxed);
        let mutex = MutexGuard::mutex(&guard.inner);
        drop(guard);
        sys::futex_wait(&self.notified, seen, Some(timeout));
        lock(mutex)
    }

    /// Wakes all that wait. What they wait for was changed under the lock before.
    pub fn notify_all(&self) {
        self.notified.fetch_add(1, Ordering::Release);
        sys::futex_wake(&self.notified, i32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::hint;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn lets_one_in_at_a_time<R: RawMutex + Sync>() {
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

    fn is_waited_for_while_its_holder_sleeps<R: RawMutex + Sync>() {
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
    fn locks_let_one_in_at_a_time() {
        lets_one_in_at_a_time::<Spin>();
        lets_one_in_at_a_time::<Futex>();
    }

    #[test]
    fn locks_are_waited_for_while_their_holder_sleeps() {
        is_waited_for_while_its_holder_sleeps::<Spin>();
        is_waited_for_while_its_holder_sleeps::<Futex>();
    }

    #[test]
    fn a_condition_is_waited_for_until_it_is_notified() {
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
