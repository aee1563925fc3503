//! Every symbol that C sees. Their one law: a pointer becomes a reference, a safe call is made, its result
//! becomes a status; no panic leaves.
//!
//! What holds for all of them, and is therefore not said at each: a string ends with NUL and is not kept;
//! a NULL that is not said to mean something gets `DPL_EINVAL`, NULL or no effect, and a line in the log;
//! functions may be called by any number of threads at once, except that a connection is used by one
//! thread at a time.
#![allow(non_camel_case_types)]

mod addrlist;
mod addrlist_query;
pub mod conn;
mod dplx;
mod outcome;
pub mod transfer;

use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// As [`guard`], without the price of [`sys::without_cancellation`]: for bodies of which only rare parts
/// get to a cancellation point, and see to that themselves.
#[inline]
fn guard_hot<T: Outcome>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    last_error::of_call(|| caught(function, failure, body))
}

/// As [`guard`], for what may be called between a failure and the question for its text: that stays.
pub fn guard_aside<T>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    sys::without_cancellation(|| caught(function, failure, body))
}

#[inline]
fn caught<T>(function: &'static CStr, failure: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text.as_str(),
            _ => "no message",
        };
        // Should logging itself be what panics, the failure value has to do.
        let _ = catch_unwind(|| log!(&call_log(None, function), Error, "bug in droplet-conn: {text}"));
        failure
    })
}

/// The log of a call.
pub fn call_log(context: Option<&'static Context>, function: &'static CStr) -> CallLog {
    CallLog { context, function, is_in_passing: false }
}

/// Logs that an argument is unusable. The location in the log is that of the caller.
#[cold]
#[track_caller]
pub fn refuse(context: Option<&'static Context>, function: &'static CStr, fault: &str) {
    log!(&call_log(context, function), Error, "{fault}");
}

/// The context behind a pointer, or a line in the log.
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[inline(always)]
#[track_caller]
unsafe fn context(ctx: *mut dpl_ctx_t, function: &'static CStr) -> Option<&'static Context> {
    // SAFETY: the caller's promise.
    let found = unsafe { Context::of(ctx) };
    if found.is_none() {
        let fault =
            if ctx.is_null() { "the context is NULL" } else { "the context has no pool of this library" };
        refuse(None, function, fault);
    }
    found
}

/// An owned copy, for messages.
fn text(string: Option<&CStr>) -> String {
    string.map_or_else(|| "(null)".to_owned(), |string| string.to_string_lossy().into_owned())
}

/// An owned string for C to free, or NULL.
fn c_string_from_malloc(text: String) -> *mut libc::c_char {
    let copy = CString::new(text).ok().and_then(|text| crate::abi::memory::duplicate(&text).ok());
    copy.map_or(std::ptr::null_mut(), crate::abi::memory::Block::into_raw)
}
