//! Our own interface: what Droplet lacks, and what other languages need to use connections alone.

mod connection;
mod context;
mod info;
mod request;
mod statistics;

use libc::{c_char, c_int, c_void};

use super::{dpl_ctx_t, guard};
use crate::abi::last_error;
use crate::abi::log_callback::{self, User};

/// A program's function for messages.
///
/// @param user what dplx_set_log() was given
/// @param ctx the context that a message is about, or NULL
/// @param level 2 for a warning, 3 for an error
/// @param message the function that was called and what went wrong, without a newline
pub type dplx_log_t = Option<
    unsafe extern "C" fn(user: *mut c_void, ctx: *mut dpl_ctx_t, level: c_int, message: *const c_char),
>;

/// The version of this library.
///
/// @return a constant string such as "0.1.0", not to be freed
#[unsafe(no_mangle)]
pub extern "C" fn dplx_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Why the calling thread's last call failed. It is about the last call that returned a status, a pointer
/// or a size, and "" if that did not fail; functions that return nothing, those that release and free,
/// change it only if they are misused.
///
/// @return such as "connect to 127.0.0.1:81: Connection refused", UTF-8, of at most 1023 bytes; several
///         reasons are separated by "; ". It is the thread's own, not to be freed, and changes with the
///         thread's next call
#[unsafe(no_mangle)]
pub extern "C" fn dplx_last_error() -> *const c_char {
    last_error::as_ptr()
}

/// Has all messages go to a function of the program's, whatever they are about. Without one, those about
/// contexts from dplx_ctx_new() go nowhere but to dplx_last_error(), others to Droplet's log, or to stderr
/// if there is no Droplet.
///
/// @param callback the function, which any thread may call and which calls of other threads that have begun
///        before may still call after it was replaced: dplx_set_log_owned() says when that is over. It must
///        return: no longjmp() and no exception. NULL for none
/// @param user its first argument
///
/// # Safety
/// `callback` is NULL or may be called with `user` from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_set_log(callback: dplx_log_t, user: *mut c_void) {
    // SAFETY: the caller's promise.
    guard(c"dplx_set_log", (), || unsafe {
        log_callback::set(callback, User { pointer: user, release: None })
    });
}

/// What ends the program's part of a [`dplx_log_t`].
///
/// @param user what dplx_set_log_owned() was given
pub type dplx_release_t = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// As dplx_set_log(), and says when `user` may be freed: once another call of either function has replaced the
/// callback, and the last thread that was in it has come back. Nobody waits for that: `release` is called by
/// the thread that replaces the callback or by the last one that leaves it. So it is called once, after
/// the callback's last call, also if the callback itself sets another; not when the program ends. In a forked
/// child it is not called if another thread was in the callback at the time of the fork.
///
/// @param callback as in dplx_set_log(); with NULL `release` is called at once
/// @param user its first argument
/// @param release called with `user`; NULL for nothing
///
/// # Safety
/// `callback` is NULL or may be called with `user` until `release` is called; that is NULL or may be called
/// with `user` by any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_set_log_owned(
    callback: dplx_log_t,
    user: *mut c_void,
    release: dplx_release_t,
) {
    // SAFETY: the caller's promise.
    guard(c"dplx_set_log_owned", (), || unsafe {
        log_callback::set(callback, User { pointer: user, release })
    });
}
