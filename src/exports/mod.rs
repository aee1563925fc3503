//! Every symbol that C sees.
//!
//! Each function follows one pattern: pointers become references, a safe function is called, its result becomes a
//! status. No panic leaves a function. [`crate::abi`] explains what the pointers lead to.
//!
//! The rules that hold for all functions are at the top of the header (`cbindgen.toml`), so that the documentation of each
//! does not repeat them.
#![allow(non_camel_case_types)]

mod addrlist;
mod addrlist_query;
pub mod conn;
mod dplx;
pub mod httpreply;
mod outcome;
mod transfer;

use std::ffi::{CStr, CString};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::connection::Connection;
use crate::abi::context::Context;
use crate::abi::last_error::{self, Outcome};
use crate::abi::layout::{Addr, AddrListHead, ConnectionHead, ContextHead, RequestHead};
use crate::abi::logging::CallLog;
use droplet_client::log;
use droplet_client::os::sys;

/// `dpl_status_t`: 0 or a negative code.
pub type dpl_status_t = libc::c_int;
/// `dpl_ctx_t`.
pub type dpl_ctx_t = ContextHead;
/// `dpl_conn_t`.
pub type dpl_conn_t = ConnectionHead;
/// `dpl_req_t`.
pub type dpl_req_t = RequestHead;
/// `dpl_addr_t`.
pub type dpl_addr_t = Addr;
/// `dpl_addrlist_t`.
pub type dpl_addrlist_t = AddrListHead;

/// Runs the body of an exported function; a panic is logged and becomes `failure`.
#[inline]
pub fn guard<T: Outcome>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    sys::without_cancellation(|| guard_hot(function, failure, body))
}

/// Runs a body as [`guard`] does, without [`sys::without_cancellation`], which costs too much for calls that reuse a
/// connection. Rare parts of such a body that reach a cancellation point call that themselves.
#[inline]
fn guard_hot<T: Outcome>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    last_error::of_call(|| caught(function, failure, body))
}

/// Runs a body as [`guard`] does, and leaves the text of `dplx_last_error` as it is, unless the body logs an error: for
/// functions that a program may call between a failure and `dplx_last_error`.
pub fn guard_aside<T>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    sys::without_cancellation(|| last_error::aside(|| caught(function, failure, body)))
}

#[inline]
fn caught<T>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text.as_str(),
            _ => "no message",
        };
        // If the log itself panics, only the failure value tells the caller.
        let _ = catch_unwind(|| log!(&call_log(None, function), Error, "bug in droplet-conn: {text}"));
        failure
    })
}

/// Returns the log of a call.
pub fn call_log(context: Option<&'static Context>, function: &'static CStr) -> CallLog {
    CallLog { context, function, is_in_passing: false }
}

/// Logs that an argument is unusable. The location in the log is that of the caller.
#[cold]
#[track_caller]
pub fn refuse(context: Option<&'static Context>, function: &'static CStr, fault: &str) {
    log!(&call_log(context, function), Error, "{fault}");
}

/// Logs that an argument beside a connection is unusable.
#[cold]
#[track_caller]
pub fn refuse_beside(conn: *mut dpl_conn_t, function: &'static CStr, fault: &str) {
    let connection = Connection::from_raw(conn);
    let context = connection.as_ref().and_then(Connection::context);
    // Given back first: the program's log callback may use it.
    connection.map(Connection::into_raw);
    refuse(context, function, fault);
}

/// Notes that a read or a reply failed for good. It is logged, unless the program has asked for it by dplx_cancel().
/// The location in the log is that of the caller.
#[cold]
#[track_caller]
fn read_failed(connection: &mut Connection, function: &'static CStr, fault: fmt::Arguments<'_>) {
    connection.mark_broken();
    if connection.was_cancelled() {
        last_error::note(fault);
    } else {
        log!(&call_log(connection.context(), function), Error, "{fault}");
    }
}

/// Returns the context behind a pointer; logs that there is none.
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[inline(always)]
#[track_caller]
unsafe fn context(ctx: *mut dpl_ctx_t, function: &'static CStr) -> Option<&'static Context> {
    // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
    let found = unsafe { Context::of(ctx) };
    if found.is_none() {
        let fault =
            if ctx.is_null() { "the context is NULL" } else { "the context has no pool of this library" };
        refuse(None, function, fault);
    }
    found
}

/// Returns a copy of a string for messages.
fn text(string: Option<&CStr>) -> String {
    string.map_or_else(|| "(null)".to_owned(), |string| string.to_string_lossy().into_owned())
}

/// Returns a block from malloc(3) with this text; NULL if memory runs out.
fn c_string_from_malloc(text: String) -> *mut libc::c_char {
    let copy = CString::new(text).ok().and_then(|text| crate::abi::memory::duplicate(&text).ok());
    copy.map_or(std::ptr::null_mut(), crate::abi::memory::Block::into_raw)
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use libc::c_int;

    use super::dplx::dplx_last_error;
    use super::*;

    const NAME: &CStr = c"dplx_a_test";

    /// Returns the result of a call that panics, and the text that it leaves.
    fn of_panicking(body: impl FnOnce() -> c_int) -> (c_int, String) {
        let result = guard(NAME, -7, body);
        // SAFETY: the text is a string, which the next call of this thread replaces.
        let text = unsafe { CStr::from_ptr(dplx_last_error()) };
        (result, text.to_string_lossy().into_owned())
    }

    #[test]
    fn panics_become_failures() {
        let number = 5;
        assert_eq!(of_panicking(|| panic!("a text")), (-7, "bug in droplet-conn: a text".to_owned()));
        assert_eq!(of_panicking(|| panic!("of {number}")), (-7, "bug in droplet-conn: of 5".to_owned()));
        assert_eq!(of_panicking(|| panic_any(number)), (-7, "bug in droplet-conn: no message".to_owned()));
        assert_eq!(of_panicking(|| 3), (3, String::new()));
    }
}
