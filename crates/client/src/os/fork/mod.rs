//! Forks: neither the parent nor the child notices one.
//!
//! fork(2) copies the memory as it is, and only the calling thread. A lock that another thread holds stays locked
//! for ever in the child, and the data behind it may be half changed. So a fork waits until no other thread is
//! inside a critical section ([`Section`]), and threads that want to enter one wait for the fork. Every lock of
//! this library is held within a section. In a section a thread makes no system call but to wait for a lock, or to wake
//! a thread that waits for one. It calls no foreign code but malloc(3), whose locks glibc frees in the child. So a fork
//! waits for microseconds.
//!
//! There is no order of locks to keep: all of them are free in the child. The fork handler of the child then makes
//! each structure forget what belongs to the parent ([`run_in_children`]).
//!
//! Steps inside OpenSSL ([`TlsStep`]) hold OpenSSL's own locks, which OpenSSL does not free in a child
//! (OPENSSL_fork_prepare(3)). A fork waits for them too, but not for long: such a step may run a callback of the
//! program, and that may wait for the thread that forks.
//!
//! Calls of the system's resolver ([`ResolverCall`]) hold locks of libc for an instant at their beginning and end, which
//! libc does not free in a child either: its first look-up may hang. A fork waits for such calls as long as they take
//! without a name server. While they wait for one, they hold no lock.

mod gate;
mod thread;

use std::io;
use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

pub use gate::pause;
pub use thread::{SHARDS, be_helper, own_shard, own_thread, shards_in_use};

use crate::os::{random, sys};
use gate::Gate;
use thread::THREAD;

/// The number of forks between this process and the one that loaded the library.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Returns the number of forks so far. What was opened under another number belongs to a parent.
#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The index of each gate in the depths of a thread.
const SECTION: usize = 0;
const TLS_STEP: usize = 1;
const RESOLVER_CALL: usize = 2;

/// The gate of sections. They are short: a thread is inside for longer than the timeout only if it gets no processor.
static SECTIONS: Gate<SECTION> = Gate::new(Duration::from_secs(1));

/// The gate of TLS steps. The step of a handshake computes for a few milliseconds.
static TLS_STEPS: Gate<TLS_STEP> = Gate::new(Duration::from_millis(100));

/// The gate of calls of the resolver. From a file or a cache it has the answer in less than the timeout.
static RESOLVER_CALLS: Gate<RESOLVER_CALL> = Gate::new(Duration::from_millis(20));

/// A critical section of the calling thread, which lasts until it is dropped. Sections nest.
pub struct Section(PhantomData<*mut ()>);

impl Section {
    /// Begins a section. Waits for a fork that is under way.
    #[inline(always)]
    pub fn enter() -> Section {
        SECTIONS.enter();
        Section(PhantomData)
    }
}

/// True if the calling thread is inside a section: it runs a signal handler that has interrupted one.
pub fn is_inside_section() -> bool {
    THREAD.with(|thread| thread.depths[SECTION].get()) > 0
}

impl Drop for Section {
    #[inline(always)]
    fn drop(&mut self) {
        SECTIONS.leave();
    }
}

/// A step of the calling thread inside OpenSSL that does not wait for the network. It lasts until it is dropped.
pub struct TlsStep(PhantomData<*mut ()>);

impl TlsStep {
    /// Begins a step. Waits for a fork that is under way.
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

/// A call of the system's resolver by the calling thread. It lasts until it is dropped.
pub struct ResolverCall(PhantomData<*mut ()>);

impl ResolverCall {
    /// Begins a call. Waits for a fork that is under way.
    pub fn enter() -> ResolverCall {
        RESOLVER_CALLS.enter();
        ResolverCall(PhantomData)
    }
}

impl Drop for ResolverCall {
    fn drop(&mut self) {
        RESOLVER_CALLS.leave();
    }
}

/// The functions of [`run_in_children`]: for the contexts of C, the host lists of C, the uses that may be cancelled, and
/// the contexts of Rust programs.
static CHILD_FUNCTIONS: [AtomicPtr<()>; 4] = [const { AtomicPtr::new(ptr::null_mut()) }; 4];

/// Prepares for forks, and has `forget_parent` run first in every child, when all locks are free. It makes the
/// structures that it knows forget what belongs to the parent.
///
/// To be called before there is anything to protect: structures, and look-ups as well, which end in the parent only. An
/// error means that the handlers could not be registered, for lack of memory: a fork would then not be safe.
pub fn run_in_children(forget_parent: fn()) -> io::Result<()> {
    protect()?;
    let function = forget_parent as *mut ();
    for place in &CHILD_FUNCTIONS {
        match place.compare_exchange(ptr::null_mut(), function, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => break,
            Err(other) if other == function => break,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Prepares for forks. To be called before the first lock that a child would miss; [`run_in_children`] does so too.
pub fn protect() -> io::Result<()> {
    // Two threads that call this at once may both register the handlers, which then run twice at a fork. That does no
    // harm. A lock here would: a child of a third thread might find it locked.
    static IS_REGISTERED: AtomicBool = AtomicBool::new(false);
    if !IS_REGISTERED.load(Ordering::Acquire) {
        sys::at_every_fork(prepare, parent, child)?;
        random::be_unlike_others();
        IS_REGISTERED.store(true, Ordering::Release);
    }
    Ok(())
}

extern "C" fn prepare() {
    // In this order: a thread may have to enter a section to end its step, but never the other way round.
    RESOLVER_CALLS.close();
    TLS_STEPS.close();
    SECTIONS.close();
    THREAD.with(|thread| thread.is_forking.set(true));
}

extern "C" fn parent() {
    THREAD.with(|thread| thread.is_forking.set(false));
    SECTIONS.open();
    TLS_STEPS.open();
    RESOLVER_CALLS.open();
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    random::be_unlike_others();
    THREAD.with(|thread| thread.is_forking.set(false));
    SECTIONS.open_in_child();
    TLS_STEPS.open_in_child();
    RESOLVER_CALLS.open_in_child();
    // A signal handler that forks may have interrupted a section of its own thread, which then holds a lock.
    if is_inside_section() {
        return;
    }
    for function in &CHILD_FUNCTIONS {
        let function = function.load(Ordering::Acquire);
        if !function.is_null() {
            // SAFETY: only `run_in_children` writes to CHILD_FUNCTIONS, and it writes a `fn()`.
            unsafe { mem::transmute::<*mut (), fn()>(function)() };
        }
    }
}

/// What models need of this module.
#[cfg(all(test, model))]
pub mod model {
    pub use super::gate::Gate;
    use super::{parent, prepare};

    /// Runs `look` at the moment of a fork, between the handlers that run before and after it in the parent. It sees what
    /// a child would have.
    pub fn as_if_forking(look: impl FnOnce()) {
        prepare();
        look();
        parent();
    }
}
