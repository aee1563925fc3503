//! Contexts for programs without Droplet.

use std::ffi::CStr;
use std::ptr;

use libc::{c_char, c_int};

use super::time;
use crate::abi::context::Context;
use crate::abi::memory::string;
use crate::abi::owned_context::{self, Maker};
use crate::exports::{call_log, context, dpl_ctx_t, dpl_status_t, guard, refuse};
use droplet_client::profile::Profile;
use droplet_client::status::{Error, SUCCESS};

/// Makes a context from the text of a profile: lines such as `host = a:80,b:80`, `use_https = true`,
/// `connection_timeout = 5`. Messages about the context are not printed; see dplx_last_error() and dplx_set_log().
///
/// @param profile the text, with the variables of Droplet's profiles. Relative names of files start at the working
///        directory
/// @return the context, which the caller frees with dplx_ctx_free(); NULL on failure, and dplx_last_error() has a text
///         such as "profile:2: no such variable"
///
/// # Safety
/// `profile` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_ctx_new(profile: *const c_char) -> *mut dpl_ctx_t {
    const NAME: &CStr = c"dplx_ctx_new";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `profile` is NULL or a string (contract of this function).
        let made = match unsafe { string(profile) } {
            Some(text) => make(text, NAME),
            None => Err("the profile is NULL".to_owned()),
        };
        made.unwrap_or_else(|fault| {
            refuse(None, NAME, &fault);
            ptr::null_mut()
        })
    })
}

fn make(text: &CStr, function: &'static CStr) -> Result<*mut dpl_ctx_t, String> {
    let mut profile = Profile::new("profile".to_owned(), c".".to_owned(), c"".to_owned());
    profile.read(text.to_bytes()).map_err(|fault| fault.to_string())?;
    let made = owned_context::create(&profile, Maker::Dplx, &call_log(None, function))?;
    // SAFETY: `create` returned it, so it points to a `dpl_ctx_t`.
    if let Some(context) = unsafe { Context::of(made) } {
        context.be_quiet();
    }
    Ok(made)
}

/// Sets how long calls that get a connection wait while all `n_conn_max` connections of a context are in use or being
/// opened. Calls are served in the order of their arrival, as soon as a connection is given back or closed, or
/// `n_conn_max` is raised. When the time is over, dpl_try_connect() returns DPL_ELIMIT and dpl_conn_open_host() NULL. The
/// time that a connect takes afterwards does not count.
///
/// A context begins with the number in `DPLX_WAIT_MS` of the environment, or 0. A change also holds for calls that wait
/// already. A thread that is cancelled (pthread_cancel(3)) while it waits ends when its wait does. If the context is
/// freed meanwhile, which is an error of the program, the call returns DPL_EINVAL or NULL.
///
/// @param ctx the context
/// @param milliseconds the longest wait in milliseconds; 0 does not wait, -1 waits for ever
/// @return DPL_SUCCESS; DPL_EINVAL if `ctx` is NULL or `milliseconds` is less than -1
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_ctx_set_wait(ctx: *mut dpl_ctx_t, milliseconds: c_int) -> dpl_status_t {
    const NAME: &CStr = c"dplx_ctx_set_wait";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return Error::Invalid.status() };
        if time(milliseconds, Some(context), NAME).is_err() {
            return Error::Invalid.status();
        }
        context.set_wait(milliseconds);
        SUCCESS
    })
}

/// Closes the idle connections of a context and frees it. Connections in use stay usable, and are closed when they are
/// given back.
///
/// @param ctx a context from dplx_ctx_new(), which no other thread uses; NULL has no effect
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_ctx_free(ctx: *mut dpl_ctx_t) {
    const NAME: &CStr = c"dplx_ctx_free";
    guard(NAME, (), || {
        // SAFETY: no other thread uses a context that is freed (documentation of this function).
        if !ctx.is_null() && unsafe { owned_context::destroy(ctx, Maker::Dplx) }.is_none() {
            refuse(None, NAME, "this context was freed before, or did not come from dplx_ctx_new()");
        }
    })
}
