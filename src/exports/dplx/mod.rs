//! Functions that Droplet does not have: what programs in other languages need to use connections without Droplet.

mod connect;
mod connection;
mod context;
mod info;
mod reply;
mod request;
mod statistics;
mod status;

use std::ffi::CStr;
use std::time::Duration;

use libc::{c_char, c_int, c_void};

use super::{dpl_ctx_t, guard, refuse};
use crate::abi::context::Context;
use crate::abi::last_error;
use crate::abi::log_callback::{self, User};
use droplet_client::os::clock;
use droplet_client::status::Error;

/// Log callback: a program's function for messages.
///
/// @param user the pointer that was passed to dplx_set_log()
/// @param ctx the context that the message is about, or NULL
/// @param level 2 for a warning, 3 for an error
/// @param message the name of the function that was called and what went wrong, without a newline
pub type dplx_log_t = Option<
    unsafe extern "C" fn(user: *mut c_void, ctx: *mut dpl_ctx_t, level: c_int, message: *const c_char),
>;

/// Returns a time in milliseconds as a duration; `None` for -1, which is for ever. Other negative numbers are refused: who
/// has computed one, from a deadline that is over, does not want to wait for ever.
#[track_caller]
fn time(
    milliseconds: c_int,
    context: Option<&'static Context>,
    function: &'static CStr,
) -> Result<Option<Duration>, Error> {
    if milliseconds < -1 {
        refuse(context, function, &format!("invalid time: {milliseconds} ms"));
        return Err(Error::Invalid);
    }
    Ok(clock::milliseconds(milliseconds))
}

/// Returns the version of this library. `DPLX_VERSION` is that of the header which a program was compiled with, and
/// `DPLX_VERSION_NUMBER` the same for comparisons: 1002003 is 1.2.3.
///
/// @return a constant such as "0.1.0", which is not freed
#[unsafe(no_mangle)]
pub extern "C" fn dplx_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the reason why the last call of this thread failed. That is its last call of a function that returns a
/// status, a pointer or a number of bytes. Functions that return a constant text, such as dplx_fault_text(), or an
/// unsigned count, such as dpl_addrlist_count(), do not change the text. Functions that return nothing, such as those
/// that release and free, change it only if they are misused.
///
/// @return a text such as "connect to 127.0.0.1:81: Connection refused", in UTF-8, of at most 1023 bytes. Several
///         reasons are separated by "; ". It is "" if the call succeeded. The text belongs to the thread, is not
///         freed, and changes with the thread's next call. Calls within a log callback have a text of their own: that
///         of the call which logs comes back when the callback returns
#[unsafe(no_mangle)]
pub extern "C" fn dplx_last_error() -> *const c_char {
    last_error::as_ptr()
}

/// Sets the log callback, which gets all messages. Without a log callback, messages about contexts from dplx_ctx_new()
/// are only the text of dplx_last_error(). Others go to Droplet's log, or to stderr if there is no Droplet.
///
/// @param callback the function; NULL for none. Any thread may call it. Calls in other threads that have begun before
///        it is replaced may still call it afterwards; dplx_set_log_owned() tells when that is over. It must return:
///        no longjmp() and no exception
/// @param user the first argument of `callback`
///
/// # Safety
/// `callback` is NULL or may be called with `user` from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_set_log(callback: dplx_log_t, user: *mut c_void) {
    // SAFETY: any thread may call `callback` with `user` from now on (contract of this function).
    guard(c"dplx_set_log", (), || unsafe {
        log_callback::set(callback, User { pointer: user, release: None })
    });
}

/// Function that frees the `user` pointer of a log callback.
///
/// @param user the pointer that was passed to dplx_set_log_owned()
pub type dplx_release_t = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// Sets the log callback as dplx_set_log() does, and frees `user` when nobody uses it any more: when another call of
/// either function has replaced the callback, and the last thread that was in it has left it. The thread that
/// replaces the callback, or the last thread that leaves it, calls `release`. So no thread waits, and the callback
/// may itself set another. `release` is called once, but not when the program ends, and not in a forked child if
/// another thread was in the callback at the time of the fork.
///
/// @param callback as in dplx_set_log(). If it is NULL, `release` is called at once
/// @param user the first argument of `callback`
/// @param release the function that frees `user`; NULL for none
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
    // SAFETY: any thread may call `callback` with `user` until `release` is called, and may call that (contract of this
    // function).
    guard(c"dplx_set_log_owned", (), || unsafe {
        log_callback::set(callback, User { pointer: user, release })
    });
}
