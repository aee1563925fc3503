//! A mutex that a forked child finds unlocked, with whole data behind it.
//!
//! fork(2) copies a lock as it is, and only the forking thread with it: what another thread held stays
//! locked for ever in the child. So the handlers of pthread_atfork(3) take every lock before the fork, in
//! the order in which they nest, and let go of it on both sides.

use std::mem;

use parking_lot::lock_api::RawMutex as _;
use parking_lot::{Mutex, MutexGuard, RawMutex};

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
pub struct Lock<T> {
    inner: Mutex<T>,
}

impl<T> Lock<T> {
    /// An unlocked one.
    pub const fn new(value: T) -> Lock<T> {
        Lock { inner: Mutex::new(value) }
    }

    /// Takes the lock.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
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
            // SAFETY: as above.
            Fork::Parent => unsafe { self.inner.force_unlock(Default::default()) },
            // SAFETY: the child has one thread, so that nobody looks at the mutex meanwhile. It is made anew,
            // not unlocked: threads of the parent may be noted as waiting for it.
            Fork::Child => unsafe {
                (&raw const *self.inner.raw()).cast_mut().write(RawMutex::INIT);
            },
        }
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Lock<T> {
        Lock::new(T::default())
    }
}
