//! Requests for dpl_try_connect().

use std::ffi::CStr;
use std::ptr;

use libc::c_char;

use crate::abi::memory::string;
use crate::abi::request::Request;
use crate::exports::{context, dpl_ctx_t, dpl_req_t, guard};

/// Makes a request for dpl_try_connect(). It can be used for any number of connections, one after the other.
///
/// @param ctx the context
/// @param bucket the bucket, to connect to `BUCKET.HOST`; NULL to connect to the hosts themselves
/// @return the request, which the caller frees with dplx_req_free() or Droplet's dpl_req_free(); NULL on failure
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `bucket` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_req_new(ctx: *mut dpl_ctx_t, bucket: *const c_char) -> *mut dpl_req_t {
    const NAME: &CStr = c"dplx_req_new";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t`, `bucket` is NULL or a string (contract of this function).
        let (context, bucket) = unsafe { (context(ctx, NAME), string(bucket)) };
        let Some(context) = context else { return ptr::null_mut() };
        Request::make(context.view(), bucket).unwrap_or(ptr::null_mut())
    })
}

/// Frees a request.
///
/// @param req a request from dplx_req_new(); NULL has no effect
///
/// # Safety
/// `req` is NULL or came from [`dplx_req_new`] and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_req_free(req: *mut dpl_req_t) {
    // SAFETY: `req` is NULL, or came from `dplx_req_new` and is not used any more (contract of this function).
    guard(c"dplx_req_free", (), || unsafe { Request::free(req) });
}
