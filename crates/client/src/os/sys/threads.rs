//! Threads and processes: cancellation, futexes, fork handlers.

use std::io;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use libc::c_int;

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
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
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
