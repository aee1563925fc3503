//! Threads and processes: cancellation, futexes, fork handlers, new threads.

use std::io;
use std::mem::{self, MaybeUninit};
use std::panic;
use std::ptr;
#[cfg(not(model))]
use std::sync::atomic::AtomicU32;
#[cfg(not(model))]
use std::time::Duration;

use libc::{c_int, c_void};

const CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// Runs `body`. If another thread cancels this one meanwhile (pthread_cancel(3)), it ends only afterwards:
/// cancellation unwinds the stack, and must not unwind Rust's frames.
pub fn without_cancellation<T>(body: impl FnOnce() -> T) -> T {
    /// The state before, which is restored also if `body` panics.
    struct Restore(c_int);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: pthread_setcancelstate itself has returned this state; it accepts NULL.
            unsafe { pthread_setcancelstate(self.0, ptr::null_mut()) };
        }
    }
    let mut before = Restore(CANCEL_DISABLE);
    // SAFETY: the state is one of pthread_setcancelstate(3), and `before` is writable.
    unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut before.0) };
    body()
}

/// Waits until the word is woken (futex(2)) or the timeout is over, if the word has the expected value. May return
/// earlier. Not a cancellation point.
#[cfg(not(model))]
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is readable, and the timeout is NULL or readable, during the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, timeout) };
}

/// Wakes up to `count` threads that wait on a word.
#[cfg(not(model))]
pub fn futex_wake(word: &AtomicU32, count: i32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel does not access the word, it compares its address with those that threads wait on.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, count) };
}

/// A handler of pthread_atfork(3).
pub type ForkHandler = unsafe extern "C" fn();

/// Has the handlers called at every fork from now on (pthread_atfork(3)). Fails if memory is short.
pub fn at_every_fork(prepare: ForkHandler, parent: ForkHandler, child: ForkHandler) -> io::Result<()> {
    // SAFETY: the handlers stay in memory: the library is linked with -z nodelete.
    check_number(unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) })
}

/// The least stack of a thread of this library. A program may have set a small default for its own threads.
const LEAST_STACK: usize = 1 << 20;

/// Starts a thread that does `work` and ends. Nobody can wait for it or cancel it, and no signal handler of the program
/// runs in it.
pub fn start_thread(work: fn()) -> io::Result<()> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the attributes are writable.
    check_number(unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) })?;
    // SAFETY: pthread_attr_init(3) has succeeded, so that it has written the attributes.
    let mut attributes = unsafe { attributes.assume_init() };
    let mut stack = 0;
    // SAFETY: the attributes are initialised, and `stack` is writable. Both settings are valid.
    unsafe {
        libc::pthread_attr_setdetachstate(&mut attributes, libc::PTHREAD_CREATE_DETACHED);
        libc::pthread_attr_getstacksize(&attributes, &mut stack);
        if stack < LEAST_STACK {
            libc::pthread_attr_setstacksize(&mut attributes, LEAST_STACK);
        }
    }
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: `thread` is writable, the attributes are initialised, and `run` gets the function that it expects.
    let started = with_signals_blocked(|| unsafe {
        libc::pthread_create(thread.as_mut_ptr(), &attributes, run, work as *mut c_void)
    });
    // SAFETY: the attributes are initialised, and not used any more.
    unsafe { libc::pthread_attr_destroy(&mut attributes) };
    check_number(started)
}

/// The body of a thread that [`start_thread`] starts.
extern "C" fn run(work: *mut c_void) -> *mut c_void {
    // SAFETY: `start_thread` passes a `fn()`.
    let work = unsafe { mem::transmute::<*mut c_void, fn()>(work) };
    without_cancellation(|| {
        // A panic has been printed. It must not leave a C function.
        let _ = panic::catch_unwind(work);
    });
    ptr::null_mut()
}

/// Runs `body` with all signals blocked for the calling thread. A thread inherits the signals that the one which starts
/// it blocks (pthread_create(3)).
fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: each set is written by a call before another one reads it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let outcome = body();
    // SAFETY: the call above has written the set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    outcome
}

/// Turns the convention of pthreads, 0 or an error number, into a result.
fn check_number(number: c_int) -> io::Result<()> {
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }
}

/// Returns the calling thread's id (gettid(2)).
pub fn thread_id() -> libc::pid_t {
    // SAFETY: gettid(2) takes no argument and cannot fail.
    unsafe { libc::gettid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancellation_is_possible_again_after_a_panic() {
        let panic = std::panic::catch_unwind(|| without_cancellation(|| panic!("as a test")));
        assert!(panic.is_err());
        let mut state = CANCEL_DISABLE;
        // SAFETY: `state` is writable.
        unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut state) };
        assert_ne!(state, CANCEL_DISABLE);
        // SAFETY: pthread_setcancelstate has returned this state; it accepts NULL.
        unsafe { pthread_setcancelstate(state, ptr::null_mut()) };
    }
}
