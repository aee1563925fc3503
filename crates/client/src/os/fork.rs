//! Forks: neither parent nor child notices one.
//!
//! fork(2) copies the memory as it is, and only the calling thread. A lock that another thread holds stays
//! locked for ever in the child, and what that thread was changing stays half changed. So a fork waits until no
//! thread is inside a critical section ([`Section`]), and threads that want to enter one wait for the fork. Every
//! lock of this library is held within a section. A section contains no system call, no wait and no foreign
//! code, so that a fork waits for microseconds.
//!
//! There is no order of locks to keep: in the child every lock is free. Its fork handler then has each structure
//! forget what belongs to the parent ([`watch`]).
//!
//! Steps inside OpenSSL ([`TlsStep`]) hold OpenSSL's own locks, which OpenSSL does not free in a child
//! (OPENSSL_fork_prepare(3)). A fork waits for them too, but not for long: such a step may run a callback of the
//! program, and that may wait for the thread that forks.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::os::sys;

/// The number of shards: per-thread state is spread over so many. Threads beyond that share.
pub const SHARDS: usize = 16;

/// How many threads have a shard.
static THREADS: AtomicU32 = AtomicU32::new(0);

/// The number of forks between this process and the one that loaded the library.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// What a thread knows of itself.
struct Thread {
    /// `u8::MAX` before the first use.
    shard: Cell<u8>,
    /// How often it is inside each kind of gate: sections and steps nest.
    depths: [Cell<u32>; 2],
    /// Whether it forks: handlers of the program may call this library in the middle of that.
    forks: Cell<bool>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { shard: Cell::new(u8::MAX), depths: [const { Cell::new(0) }; 2], forks: Cell::new(false) }
    };
}

impl Thread {
    #[inline]
    fn shard(&self) -> usize {
        match self.shard.get() {
            u8::MAX => self.take_shard(),
            shard => usize::from(shard),
        }
    }

    #[cold]
    fn take_shard(&self) -> usize {
        let shard = THREADS.fetch_add(1, Ordering::Relaxed) as usize % SHARDS;
        self.shard.set(shard as u8);
        shard
    }
}

/// The shard of the calling thread. Threads are numbered in the order in which they come here.
#[inline]
pub fn own_shard() -> usize {
    THREAD.with(Thread::shard)
}

/// The calling thread, told apart from all others that live. The thread that forks has the same number in the
/// child.
pub fn own_thread() -> usize {
    THREAD.with(|thread| ptr::from_ref(thread).addr())
}

/// The number of shards that have a thread.
pub fn shards_in_use() -> usize {
    (THREADS.load(Ordering::Relaxed) as usize).min(SHARDS)
}

/// The number of forks so far. What was opened under another number belongs to a parent.
#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The place of each kind of gate among a thread's depths.
const SECTION: usize = 0;
const TLS_STEP: usize = 1;

/// What a fork closes before it happens, and waits for until nobody is inside.
struct Gate<const KIND: usize> {
    /// The number of forks that keep it closed. Threads wait on it as on a futex.
    closed: AtomicU32,
    /// How many threads are inside, by shard.
    inside: [Count; SHARDS],
    /// The longest that a fork waits for them.
    patience: Duration,
}

/// Processors fetch cache lines by pairs of 64 bytes.
#[repr(align(128))]
struct Count(AtomicU32);

/// Sections are short. Longer than that a thread is inside only if it gets no processor, or if a signal handler that
/// forks has interrupted it: that fork waits in libc for the one that waits here.
static SECTIONS: Gate<SECTION> = Gate::new(Duration::from_secs(1));

/// A handshake's step takes a few milliseconds of computing.
static TLS_STEPS: Gate<TLS_STEP> = Gate::new(Duration::from_millis(100));

impl<const KIND: usize> Gate<KIND> {
    const fn new(patience: Duration) -> Self {
        let inside = [const { Count(AtomicU32::new(0)) }; SHARDS];
        Gate { closed: AtomicU32::new(0), inside, patience }
    }

    #[inline(always)]
    fn enter(&self) {
        THREAD.with(|thread| {
            let depth = &thread.depths[KIND];
            if depth.get() == 0 {
                let inside = &self.inside[thread.shard() % SHARDS].0;
                // Sequentially consistent, as is the other side in `close`: either this thread sees the fork, or
                // the fork sees this thread.
                inside.fetch_add(1, Ordering::SeqCst);
                if self.closed.load(Ordering::SeqCst) != 0 && !thread.forks.get() {
                    self.wait_for_fork(inside);
                }
            }
            depth.set(depth.get() + 1);
        });
    }

    #[inline(always)]
    fn leave(&self) {
        THREAD.with(|thread| {
            let depth = &thread.depths[KIND];
            depth.set(depth.get() - 1);
            if depth.get() == 0 {
                self.inside[thread.shard() % SHARDS].0.fetch_sub(1, Ordering::Release);
            }
        });
    }

    /// Waits until the fork is over, for as long as there is patience: a handler of the program may keep the thread
    /// that forks waiting for this one.
    #[cold]
    fn wait_for_fork(&self, inside: &AtomicU32) {
        let deadline = Instant::now() + self.patience;
        while self.closed.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
            inside.fetch_sub(1, Ordering::SeqCst);
            loop {
                let forks = self.closed.load(Ordering::SeqCst);
                if forks == 0 || Instant::now() >= deadline {
                    break;
                }
                sys::futex_wait(&self.closed, forks, Some(Duration::from_millis(10)));
            }
            inside.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Lets nobody in any more, and waits until no other thread is inside, for as long as there is patience.
    fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
        let own = THREAD.with(|thread| u32::from(thread.depths[KIND].get() > 0));
        let deadline = Instant::now() + self.patience;
        let mut rounds = 0_u32;
        while self.inside.iter().map(|count| count.0.load(Ordering::SeqCst)).sum::<u32>() > own {
            if rounds > 10 && Instant::now() >= deadline {
                return;
            }
            pause(rounds);
            rounds = rounds.saturating_add(1);
        }
    }

    fn open(&self) {
        self.closed.fetch_sub(1, Ordering::SeqCst);
        sys::futex_wake(&self.closed, i32::MAX);
    }

    /// Opens it in a child, where the calling thread is the only one.
    fn open_in_child(&self) {
        self.closed.store(0, Ordering::SeqCst);
        self.inside.iter().for_each(|count| count.0.store(0, Ordering::Relaxed));
        THREAD.with(|thread| {
            let own = u32::from(thread.depths[KIND].get() > 0);
            self.inside[thread.shard()].0.store(own, Ordering::Relaxed);
        });
    }
}

/// Lets others run, for longer from round to round: a thread of higher priority has to stand aside for one of
/// lower priority to go on.
pub fn pause(round: u32) {
    match round {
        0..100 => std::hint::spin_loop(),
        100..110 => thread::yield_now(),
        _ => sys::without_cancellation(|| thread::sleep(Duration::from_micros(50))),
    }
}

/// A critical section of the calling thread, which lasts until it is dropped. Sections nest.
pub struct Section(PhantomData<*mut ()>);

impl Section {
    /// Begins one, after a fork that is under way.
    #[inline(always)]
    pub fn enter() -> Section {
        SECTIONS.enter();
        Section(PhantomData)
    }
}

impl Drop for Section {
    #[inline(always)]
    fn drop(&mut self) {
        SECTIONS.leave();
    }
}

/// A step of the calling thread inside OpenSSL that does not wait for the network.
pub struct TlsStep(PhantomData<*mut ()>);

impl TlsStep {
    /// Begins one, after a fork that is under way.
    pub fn enter() -> TlsStep {
        TLS_STEPS.enter();
        TlsStep(PhantomData)
    }
}

impl Drop for TlsStep {
    fn drop(&mut self) {
        TLS_STEPS.leave();
    }
}

/// Functions that a child calls first: the boundary to C has one, that to Rust another.
static VISITORS: [AtomicPtr<()>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

/// Prepares for forks; to be called before there is anything to protect. From now on `forget_parent` runs first
/// in every child, when all locks are free: it makes the structures it knows forget what belongs to the parent.
pub fn watch(forget_parent: fn()) {
    // Two threads at once may both register the handlers: those can run twice. A lock would not be safe here: a
    // child of a third thread might find it held.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.load(Ordering::Acquire) {
        sys::at_every_fork(prepare, parent, child);
        REGISTERED.store(true, Ordering::Release);
    }
    let visitor = forget_parent as *mut ();
    for place in &VISITORS {
        match place.compare_exchange(ptr::null_mut(), visitor, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(other) if other == visitor => return,
            Err(_) => {}
        }
    }
}

extern "C" fn prepare() {
    // In this order: a thread in a step may have to enter a section to end it, never the other way round.
    TLS_STEPS.close();
    SECTIONS.close();
    THREAD.with(|thread| thread.forks.set(true));
}

extern "C" fn parent() {
    THREAD.with(|thread| thread.forks.set(false));
    SECTIONS.open();
    TLS_STEPS.open();
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    THREAD.with(|thread| thread.forks.set(false));
    SECTIONS.open_in_child();
    TLS_STEPS.open_in_child();
    // A signal handler that forks may have interrupted a section of its own thread, with a lock in hand.
    if THREAD.with(|thread| thread.depths[SECTION].get()) > 0 {
        return;
    }
    for visitor in &VISITORS {
        let visitor = visitor.load(Ordering::Acquire);
        if !visitor.is_null() {
            // SAFETY: only `watch` writes there, and what it writes is a `fn()`.
            unsafe { mem::transmute::<*mut (), fn()>(visitor)() };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    static GATE: Gate<SECTION> = Gate::new(Duration::from_secs(20));

    /// The tests use one gate, one after the other.
    #[test]
    fn a_closed_gate_lets_nobody_in_and_everybody_out() {
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel();
        let has_left = AtomicBool::new(false);
        thread::scope(|scope| {
            let has_left = &has_left;
            scope.spawn(move || {
                GATE.enter();
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
                // It is inside: it may go on, and deeper.
                GATE.enter();
                GATE.leave();
                has_left.store(true, Ordering::Relaxed);
                GATE.leave();
            });
            has_entered.recv().unwrap();
            let closing = scope.spawn(|| GATE.close());
            while GATE.closed.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let (passed, has_passed) = mpsc::channel();
            scope.spawn(move || {
                GATE.enter();
                GATE.leave();
                passed.send(()).unwrap();
            });
            leave.send(()).unwrap();
            closing.join().unwrap();
            assert!(has_left.load(Ordering::Relaxed), "closed with a thread inside");
            assert!(has_passed.recv_timeout(Duration::from_millis(50)).is_err(), "let in while closed");
            GATE.open();
            assert_eq!(has_passed.recv_timeout(Duration::from_secs(20)), Ok(()));
        });
        // The thread that forks does not wait for itself.
        GATE.enter();
        GATE.close();
        GATE.open_in_child();
        GATE.leave();
        assert!(GATE.inside.iter().all(|count| count.0.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_gate_is_not_waited_for_without_end() {
        static IMPATIENT: Gate<TLS_STEP> = Gate::new(Duration::from_millis(20));
        thread::scope(|scope| {
            let (leave, may_leave) = mpsc::channel::<()>();
            let (entered, has_entered) = mpsc::channel();
            scope.spawn(move || {
                IMPATIENT.enter();
                entered.send(()).unwrap();
                let _ = may_leave.recv();
                IMPATIENT.leave();
            });
            has_entered.recv().unwrap();
            IMPATIENT.close();
            IMPATIENT.open();
            drop(leave);
        });
    }
}
