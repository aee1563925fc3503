//! Reads and writes of any open file. The caller prevents cancellation ([`super::without_cancellation`]).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, c_long};

use super::check_count;

/// Calls read(2).
pub fn read(file: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is writable for its length.
    check_count(unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } as c_long)
}

/// Calls write(2).
pub fn write(file: &impl AsRawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are readable for their length.
    check_count(unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) } as c_long)
}

/// Calls writev(2).
pub fn write_vectored(file: &impl AsRawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = c_int::try_from(pieces.len()).unwrap_or(c_int::MAX);
    // SAFETY: IoSlice has the layout of an iovec, as its documentation guarantees; the pieces are readable.
    check_count(unsafe { libc::writev(file.as_raw_fd(), pieces.as_ptr().cast(), count) } as c_long)
}

/// Runs `write` and swallows a SIGPIPE that it raises, whatever the program does with that signal (pipe(7)).
pub fn without_sigpipe<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    without_signal(libc::SIGPIPE, io::ErrorKind::BrokenPipe, write)
}

/// Runs `write` and swallows a SIGXFSZ that it raises at the limit of the size of files (setrlimit(2)), whatever the
/// program does with that signal.
pub fn without_file_size_signal<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    without_signal(libc::SIGXFSZ, io::ErrorKind::FileTooLarge, write)
}

/// Runs `write` and swallows a signal that comes with an error of this kind.
///
/// write(2) sends it to the thread that writes (signal(7)). So the signal is blocked for this thread alone, taken away
/// if it came, and the signal mask is restored. A signal that was pending before stays pending.
fn without_signal<T>(
    signal: c_int,
    kind: io::ErrorKind,
    write: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let mut only = MaybeUninit::<libc::sigset_t>::uninit();
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: each set is written by a call before another one reads it; the signal has a valid number;
    // pthread_sigmask changes the mask of this thread only.
    let was_pending = unsafe {
        libc::sigemptyset(only.as_mut_ptr());
        libc::sigaddset(only.as_mut_ptr(), signal);
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, only.as_ptr(), before.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), signal) == 1
    };
    let outcome = write();
    // SAFETY: the sets were written above; with a timeout of zero sigtimedwait(2) returns at once.
    unsafe {
        if !was_pending && outcome.as_ref().is_err_and(|error| error.kind() == kind) {
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(only.as_ptr(), ptr::null_mut(), &at_once);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
    outcome
}

/// Writes a text to stderr by one call, so that no other output comes in between, and without a signal. Errors are
/// ignored: there is no place to report them.
pub fn print_error(text: &[u8]) {
    let _ = without_file_size_signal(|| without_sigpipe(|| write(&libc::STDERR_FILENO, text)));
}
