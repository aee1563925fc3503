//! System calls and functions of libc that neither the standard library nor socket2 offers, each wrapped once.
//!
//! # Why not rustix
//! rustix makes system calls directly, by an instruction of its own, so that a test cannot intercept them. The
//! fault tests (`tests-c/support/shim.c`) replace functions of libc in the process and make them fail: `poll`,
//! `recv`, `send`, `sendmsg`, `getsockopt`, `ioctl`, `fcntl`, `fstat`, `write` and `writev`, and also the calls of
//! `syscall` for the first four. `tests-c/clock.c` replaces `time` and `clock_gettime`. All of these must
//! therefore be libc's. rustix has no `pthread_sigmask`, `sigtimedwait`, `pthread_setcancelstate`,
//! `pthread_atfork`, `getaddrinfo` and `TCP_INFO`. What is left for it is `read`, `gettid` and the two operations
//! of futex(2): four lines of `unsafe`, which do not pay for a dependency.
//!
//! # Cancellation
//! The functions of libc that wait are points at which a thread ends that another one cancels (pthreads(7)). Its
//! stack is then unwound, which must not happen to Rust's frames. So the calls on the hot path go through
//! syscall(2), which is no such point. The others are called within [`without_cancellation`].

mod descriptor;
mod event;
mod file;
mod poll;
pub mod resolver;
mod socket;
mod switch;
mod threads;
mod time;

use std::env;
use std::ffi::OsString;
use std::io;

use libc::{c_int, c_long};

pub use descriptor::{Descriptor, FileKind, OpenFile};
pub use event::Event;
pub use file::{print_error, read, without_file_size_signal, without_sigpipe, write, write_vectored};
pub use poll::{PollFd, wait, wait_from};
pub use socket::{
    Activity, Traffic, activity, is_nonblocking, is_silent, make_blocking, peek, receive, send, shut_down,
    traffic,
};
pub use switch::Switch;
pub use threads::{at_every_fork, start_thread, thread_id, without_cancellation};
#[cfg(not(model))]
pub use threads::{futex_wait, futex_wake};
pub use time::{coarse_monotonic_nanoseconds, deadline, monotonic_nanoseconds, wall_clock_seconds};

/// Turns the C convention, -1 and `errno`, into a result.
fn check(value: c_int) -> io::Result<c_int> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Turns a count, or -1 and `errno`, into a result.
#[inline]
fn check_count(value: c_long) -> io::Result<usize> {
    usize::try_from(value).map_err(|_| io::Error::last_os_error())
}

/// Returns a variable of the environment; an empty one counts as none. A program that runs with more rights than its
/// caller, such as a setuid one, has none: its environment is the caller's (secure_getenv(3)).
pub fn environment(name: &str) -> Option<OsString> {
    // SAFETY: it reads a number that the kernel gave the process at its start.
    let is_privileged = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    if is_privileged { None } else { env::var_os(name).filter(|value| !value.is_empty()) }
}

/// Returns the thread's `errno`.
#[inline(always)]
pub fn errno() -> c_int {
    // SAFETY: libc returns the address of the calling thread's errno, which is valid as long as the thread lives.
    unsafe { *libc::__errno_location() }
}

/// Sets the thread's `errno`.
pub fn set_errno(number: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = number };
}

/// Returns the text of a system error as strerror(3) has it, without the number that Rust adds.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((plain, _)) => plain.to_owned(),
        None => text,
    }
}
