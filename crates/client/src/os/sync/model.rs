//! The parts of [`super`] for a model checker, and what the models themselves need.
//!
//! There are two checkers, and neither sees all:
//!
//! | checker | sees | does not see |
//! | --- | --- | --- |
//! | shuttle (`--cfg 'model="shuttle"'`) | orders of whole steps, by chance; a thread that nobody wakes | effects of weak orderings: each access counts as sequentially consistent |
//! | loom (`--cfg 'model="loom"'`) | all orders up to a number of preemptions; an access that nothing orders after the one before it | a thread that nobody wakes; the difference between `SeqCst` and `AcqRel` |
//!
//! Both run all threads of a model in one thread of the system, one at a time, and take another at each access to an
//! atomic variable.
//!
//! **Time stands still.** A deadline never comes. A wait of at least [`LONG`] ends only when it is woken, so a lost wakeup
//! is a deadlock, which shuttle reports. A shorter one is a pause: it lets others run, and ends.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr as StdPtr, AtomicU64 as StdU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[cfg(model = "loom")]
pub use loom as checker;
#[cfg(model = "shuttle")]
pub use shuttle as checker;

pub use checker::sync::Arc;
pub use checker::thread::{spawn, yield_now};

/// The shortest wait that ends only when it is woken.
pub const LONG: Duration = Duration::from_millis(50);

/// The number of the run of a model. Static variables begin each run with their first value.
static RUN: StdU64 = StdU64::new(0);

/// The variable of a checker behind one of ours. It is made at the first access of each run: those of the checkers last
/// for a run only, and loom's cannot be made in a constant. Zeroed memory is a variable with a value of zero, as in the
/// standard library.
struct PerRun<V, O> {
    value: V,
    /// The run that `object` was made in.
    run: StdU64,
    object: StdPtr<O>,
    marker: PhantomData<O>,
}

impl<V: Copy, O> PerRun<V, O> {
    const fn new(value: V) -> PerRun<V, O> {
        PerRun { value, run: StdU64::new(0), object: StdPtr::new(std::ptr::null_mut()), marker: PhantomData }
    }

    fn get(&self, make: impl FnOnce(V) -> O) -> &O {
        let run = RUN.load(Ordering::Relaxed);
        if self.run.swap(run, Ordering::Relaxed) != run || self.object.load(Ordering::Relaxed).is_null() {
            let last = self.object.swap(Box::into_raw(Box::new(make(self.value))), Ordering::Relaxed);
            PerRun::<V, O>::free(last);
        }
        // SAFETY: the object was made above, and is freed in a later run or when `self` is dropped. One thread of a model
        // runs at a time, so that no other is inside this function.
        unsafe { &*self.object.load(Ordering::Relaxed) }
    }
}

impl<V, O> PerRun<V, O> {
    fn free(object: *mut O) {
        if !object.is_null() {
            // SAFETY: `get` has made it by `Box::into_raw`, and its address was in the variable, which has lost it now.
            drop(unsafe { Box::from_raw(object) });
        }
    }
}

impl<V, O> Drop for PerRun<V, O> {
    fn drop(&mut self) {
        PerRun::<V, O>::free(*self.object.get_mut());
    }
}

macro_rules! variables {
    ($($name:ident of $value:ty $(, with $($numeric:ident)+)?;)*) => { $(
        /// An atomic variable of the checker.
        pub struct $name(PerRun<$value, checker::sync::atomic::$name>);

        impl $name {
            /// Makes a variable with this value.
            pub const fn new(value: $value) -> $name {
                $name(PerRun::new(value))
            }

            fn inner(&self) -> &checker::sync::atomic::$name {
                self.0.get(checker::sync::atomic::$name::new)
            }

            /// As in the standard library.
            pub fn load(&self, order: Ordering) -> $value {
                self.inner().load(order)
            }

            /// As in the standard library.
            pub fn store(&self, value: $value, order: Ordering) {
                self.inner().store(value, order)
            }

            /// As in the standard library.
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.inner().swap(value, order)
            }

            /// As in the standard library.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.inner().compare_exchange(current, new, success, failure)
            }

            $($(
                /// As in the standard library.
                pub fn $numeric(&self, value: $value, order: Ordering) -> $value {
                    self.inner().$numeric(value, order)
                }
            )+)?
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new(<$value>::default())
            }
        }
    )* };
}

/// Atomic variables.
pub mod atomic {
    use super::*;

    pub use std::sync::atomic::Ordering;

    variables! {
        AtomicBool of bool;
        AtomicU8 of u8, with fetch_or fetch_and;
        AtomicU32 of u32, with fetch_add fetch_sub;
        AtomicU64 of u64, with fetch_add fetch_sub;
        AtomicUsize of usize, with fetch_add fetch_sub;
    }

    /// An atomic pointer of the checker.
    pub struct AtomicPtr<T>(PerRun<*mut T, checker::sync::atomic::AtomicPtr<T>>);

    // SAFETY: as the standard library's: it gives out no more than the pointer.
    unsafe impl<T> Sync for AtomicPtr<T> {}
    // SAFETY: as above.
    unsafe impl<T> Send for AtomicPtr<T> {}

    impl<T> AtomicPtr<T> {
        /// Makes a variable with this value.
        pub const fn new(value: *mut T) -> AtomicPtr<T> {
            AtomicPtr(PerRun::new(value))
        }

        fn inner(&self) -> &checker::sync::atomic::AtomicPtr<T> {
            self.0.get(checker::sync::atomic::AtomicPtr::new)
        }

        /// As in the standard library.
        pub fn load(&self, order: Ordering) -> *mut T {
            self.inner().load(order)
        }

        /// As in the standard library.
        pub fn store(&self, value: *mut T, order: Ordering) {
            self.inner().store(value, order)
        }
    }
}

macro_rules! thread_local_of_the_checker {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const $value:block;) => {
        $crate::os::sync::model::checker::thread_local! { $(#[$attribute])* $visibility static $name: $type = $value; }
    };
}
pub(crate) use thread_local_of_the_checker as thread_local;

/// The time, which stands still.
pub mod time {
    use std::ops::Add;
    use std::time::Duration;

    /// A moment in the time of a model: the present, or a later one.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Instant(Duration);

    impl Instant {
        /// Returns the present.
        pub fn now() -> Instant {
            Instant(Duration::ZERO)
        }

        /// Returns the time since an earlier moment.
        pub fn saturating_duration_since(self, earlier: Instant) -> Duration {
            self.0.saturating_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Instant;

        fn add(self, time: Duration) -> Instant {
            Instant(self.0 + time)
        }
    }
}

#[cfg(model = "shuttle")]
mod sleepers {
    use super::*;
    use shuttle::thread::Thread;

    /// A thread that sleeps on a word, and whether it was woken.
    type Sleeper = (usize, Thread, Arc<checker::sync::atomic::AtomicBool>);

    checker::lazy_static! {
        /// The threads that sleep, in the order in which they went to sleep.
        static ref SLEEPERS: shuttle::sync::Mutex<Vec<Sleeper>> = shuttle::sync::Mutex::new(Vec::new());
    }

    fn address(word: &atomic::AtomicU32) -> usize {
        std::ptr::from_ref(word).addr()
    }

    /// Waits as futex(2) does.
    pub fn futex_wait(word: &atomic::AtomicU32, expected: u32, timeout: Option<Duration>) {
        if timeout.is_some_and(|timeout| timeout < LONG) {
            return yield_now();
        }
        let woken = Arc::new(checker::sync::atomic::AtomicBool::new(false));
        {
            let mut sleepers = SLEEPERS.lock().expect("no thread panics here");
            // As in the kernel: no wakeup comes between the look and the sleep.
            if word.load(Ordering::SeqCst) != expected {
                return;
            }
            sleepers.push((address(word), shuttle::thread::current(), Arc::clone(&woken)));
        }
        while !woken.load(Ordering::SeqCst) {
            shuttle::thread::park();
        }
    }

    /// Wakes as futex(2) does.
    pub fn futex_wake(word: &atomic::AtomicU32, count: i32) {
        let mut sleepers = SLEEPERS.lock().expect("no thread panics here");
        for _ in 0..count {
            let Some(place) = sleepers.iter().position(|(on, ..)| *on == address(word)) else { return };
            let (_, thread, woken) = sleepers.remove(place);
            woken.store(true, Ordering::SeqCst);
            thread.unpark();
        }
    }
}

#[cfg(model = "shuttle")]
pub use sleepers::{futex_wait, futex_wake};

/// Waits as futex(2) may: it is woken early. A checker's own wait would put accesses in an order, and hide that the
/// library does not.
#[cfg(model = "loom")]
pub fn futex_wait(word: &atomic::AtomicU32, expected: u32, _: Option<Duration>) {
    if word.load(Ordering::Relaxed) == expected {
        yield_now();
    }
}

/// Wakes nobody: nobody sleeps.
#[cfg(model = "loom")]
pub fn futex_wake(_: &atomic::AtomicU32, _: i32) {}

/// Data that must be used by one thread at a time. A use that overlaps another, or that nothing orders after it (loom),
/// fails the model.
#[cfg(model = "loom")]
pub struct Exclusive(loom::cell::UnsafeCell<u32>);

#[cfg(model = "loom")]
impl Exclusive {
    /// Makes data that nobody has used.
    pub fn new() -> Exclusive {
        Exclusive(loom::cell::UnsafeCell::new(0))
    }

    /// Uses it. Returns the number of uses so far.
    pub fn use_it(&self) -> u32 {
        self.0.with_mut(|uses| {
            // SAFETY: loom ends the model if another use is under way or not ordered before this one.
            unsafe {
                *uses += 1;
                *uses
            }
        })
    }
}

/// Data that must be used by one thread at a time. A use that overlaps another fails the model.
#[cfg(model = "shuttle")]
pub struct Exclusive {
    begun: atomic::AtomicU32,
    ended: atomic::AtomicU32,
}

#[cfg(model = "shuttle")]
impl Exclusive {
    /// Makes data that nobody has used.
    pub fn new() -> Exclusive {
        Exclusive { begun: atomic::AtomicU32::new(0), ended: atomic::AtomicU32::new(0) }
    }

    /// Uses it, in two steps. Returns the number of uses so far.
    pub fn use_it(&self) -> u32 {
        let uses = self.begun.load(Ordering::SeqCst) + 1;
        self.begun.store(uses, Ordering::SeqCst);
        assert!(!self.is_torn_before(uses), "two threads use it at a time");
        self.ended.store(uses, Ordering::SeqCst);
        uses
    }

    fn is_torn_before(&self, uses: u32) -> bool {
        self.ended.load(Ordering::SeqCst) != uses - 1
    }

    /// True if a use is under way.
    pub fn is_torn(&self) -> bool {
        self.begun.load(Ordering::SeqCst) != self.ended.load(Ordering::SeqCst)
    }
}

// SAFETY: see `use_it`.
#[cfg(model = "loom")]
unsafe impl Sync for Exclusive {}

/// Runs a model in many orders of its threads, and prints how many. `MODEL_ITERATIONS` is the number for shuttle; loom
/// takes all orders with up to `LOOM_MAX_PREEMPTIONS` preemptions.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = RUN.load(Ordering::Relaxed);
    run_all(move || {
        RUN.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("model {name}: {} schedules", RUN.load(Ordering::Relaxed) - before);
}

#[cfg(model = "loom")]
fn run_all(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

#[cfg(model = "shuttle")]
fn run_all(model: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    let iterations = std::env::var("MODEL_ITERATIONS").ok().and_then(|number| number.parse().ok());
    let half: usize = iterations.unwrap_or(2000) / 2;
    let model = std::sync::Arc::new(model);
    let mut config = shuttle::Config::new();
    config.silence_warnings = true;
    config.stack_size = 1 << 18;
    let again = std::sync::Arc::clone(&model);
    shuttle::Runner::new(RandomScheduler::new(half), config.clone()).run(move || again());
    // Few switches at random places: finds what needs one thread to be late by much.
    shuttle::Runner::new(PctScheduler::new(3, half), config).run(move || model());
}
