//! Connections with a deadline, and uses of connections that another thread may cancel.

use std::ffi::CStr;
use std::io;
use std::ptr;

use libc::c_int;

use super::time;
use crate::abi::bounded_call::BoundedCall;
use crate::abi::call::ContextCall;
use crate::abi::context::Context;
use crate::abi::last_error;
use crate::abi::request::Request;
use crate::abi::uses;
use crate::exports::conn::{handed_out, in_use};
use crate::exports::{context, dpl_conn_t, dpl_ctx_t, dpl_req_t, dpl_status_t, guard, refuse};
use droplet_client::os::sys;
use droplet_client::status::{Error, SUCCESS};

/// Gets a connection to one of the hosts of a context, idle or new, as dpl_try_connect() does, without a request.
///
/// @param ctx the context
/// @param timeout_ms the longest time of the whole call in milliseconds: over all hosts, and with the wait at
///        `n_conn_max` (dplx_ctx_set_wait()) and look-ups of names. -1 sets no such limit, 0 takes an idle connection to
///        any of the hosts, or none
/// @return the connection, which the caller gives back with dpl_conn_release() or dpl_conn_terminate(); NULL on failure,
///         and dplx_last_error() has the reason
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_connect(ctx: *mut dpl_ctx_t, timeout_ms: c_int) -> *mut dpl_conn_t {
    const NAME: &CStr = c"dplx_connect";
    // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
    guard(NAME, ptr::null_mut(), || unsafe { connect(ctx, ptr::null_mut(), None, timeout_ms, NAME) })
}

/// Gets a connection as dplx_connect() does, in a call that another thread can cancel. It can then cancel the use of the
/// connection likewise, until that is given back.
///
/// @param ctx the context
/// @param req a request from dplx_req_new(), with a bucket or without one; its `host` and `port` are set as by
///        dpl_try_connect(). NULL for a connection to a host itself
/// @param use a number from dplx_use_new(), for this call only. If the call fails, the use is over
/// @param timeout_ms as in dplx_connect()
/// @return as dplx_connect(); NULL also if the call was cancelled, or if `use` is over or another call has it
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_connect_cancellable(
    ctx: *mut dpl_ctx_t,
    req: *mut dpl_req_t,
    r#use: u64,
    timeout_ms: c_int,
) -> *mut dpl_conn_t {
    const NAME: &CStr = c"dplx_connect_cancellable";
    guard(NAME, ptr::null_mut(), || {
        if !uses::claim(r#use) {
            let why = "is over, has a connection, or did not come from dplx_use_new()";
            // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
            let context = unsafe { Context::of(ctx) };
            refuse(context, NAME, &format!("use {} {why}", r#use));
            return ptr::null_mut();
        }
        // SAFETY: each is NULL or valid for its type, and only the caller uses the request (contract of this function).
        let made = unsafe { connect(ctx, req, Some(r#use), timeout_ms, NAME) };
        if made.is_null() {
            uses::end(r#use);
        }
        made
    })
}

/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller uses.
unsafe fn connect(
    ctx: *mut dpl_ctx_t,
    req: *mut dpl_req_t,
    use_number: Option<u64>,
    timeout_ms: c_int,
    function: &'static CStr,
) -> *mut dpl_conn_t {
    // SAFETY: each is NULL or valid for its type, and only the caller uses the request (contract of this function).
    let (context, mut request) = unsafe { (context(ctx, function), Request::from_pointer(req)) };
    let Some(context) = context else { return ptr::null_mut() };
    let Ok(timeout) = time(timeout_ms, Some(context), function) else { return ptr::null_mut() };
    let deadline = sys::deadline(timeout);
    let bounded = BoundedCall { call: ContextCall::new(context, function), deadline, use_number };
    let bucket = request.as_ref().and_then(Request::virtual_bucket);
    let outcome = bounded.call.checkout_by(&bounded, bucket).and_then(|mut connection| {
        match &mut request {
            Some(request) => connection.introduce_to(request)?,
            None => connection.set_names()?,
        }
        Ok(connection)
    });
    let Ok(mut connection) = outcome else { return ptr::null_mut() };
    if use_number.is_some() && connection.watch(use_number).is_ok() {
        // Before it was watched there was no socket to shut down.
        if connection.was_cancelled() {
            last_error::note(format_args!("cancelled"));
            return ptr::null_mut();
        }
    }
    handed_out(connection)
}

/// Returns the number of a new use, for one call of dplx_connect_cancellable(). The number is known before the call, so
/// that another thread can cancel it at any time. A use lasts until its connection is given back, or the call fails.
///
/// @return the number, which no other use has; 0 if memory is short. It takes some memory, which is freed when the use is
///         over. A number that no call gets keeps its memory until the process ends
#[unsafe(no_mangle)]
pub extern "C" fn dplx_use_new() -> u64 {
    const NAME: &CStr = c"dplx_use_new";
    guard(NAME, 0, || number(uses::begin(), None, NAME))
}

/// Returns the number for C: 0 for an error.
fn number(number: io::Result<u64>, context: Option<&'static Context>, function: &'static CStr) -> u64 {
    number.unwrap_or_else(|error| {
        refuse(context, function, &format!("no new use: {error}"));
        0
    })
}

/// Returns the number of the present use of a connection, for dplx_cancel(): from now on another thread can cancel it.
/// The use lasts until the connection is given back; the next one has another number.
///
/// @param conn the connection
/// @return the number; 0 if `conn` is NULL or not in use, or if memory is short
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_use(conn: *mut dpl_conn_t) -> u64 {
    const NAME: &CStr = c"dplx_conn_use";
    guard(NAME, 0, || {
        let Some(mut connection) = in_use(conn, NAME) else { return 0 };
        let number = number(connection.watch(None), connection.context(), NAME);
        connection.into_raw();
        number
    })
}

/// Cancels a use of a connection. Any thread may call this at any time, but no signal handler: it takes locks, which the
/// interrupted thread may hold.
///
/// A call of dplx_connect_cancellable() for this use ends within 50 ms and returns NULL, also while it waits at
/// `n_conn_max` or for the look-up of a name. Reads and writes on the connection end at once, plain and over TLS:
/// dplx_conn_read(), dplx_conn_write() and dpl_conn_writev_all() return DPL_FAILURE, now and later, and the program's own
/// reads see the end. The thread that has the connection still gives it back, and it is closed then. The host is not
/// blamed. A connection to a file or pipe (dpl_conn_open_file()) cannot be shut down: a read or write that waits there goes
/// on waiting.
///
/// A number is never used twice. So if the use is over, or ends at this moment, no other connection is affected. In a
/// forked child the uses of its parent are over.
///
/// @param use the number, from dplx_use_new() or dplx_conn_use()
/// @return DPL_SUCCESS; DPL_ENOENT if the use is over
#[unsafe(no_mangle)]
pub extern "C" fn dplx_cancel(r#use: u64) -> dpl_status_t {
    const NAME: &CStr = c"dplx_cancel";
    guard(
        NAME,
        Error::Failure.status(),
        || {
            if uses::cancel(r#use) { SUCCESS } else { Error::NotFound.status() }
        },
    )
}
