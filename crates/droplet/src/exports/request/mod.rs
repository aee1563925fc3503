//! Droplet's unit `request`: what a program asks a server for.
//!
//! A request is used by one thread at a time. It owns copies of its strings, in blocks from malloc(3).

mod contents;
mod setters;

use std::ffi::CStr;
use std::ptr;

use libc::c_int;

use crate::abi::context_fields::Fields;
use crate::abi::layout::Dict;
use crate::abi::owned::{Contents, Owned, raw_or_null};
use droplet_client::status::{Error, code};
use droplet_conn::abi::layout::{Condition, Range, RequestHead};
use droplet_conn::abi::memory::Block;
use droplet_conn::exports::{dpl_ctx_t, dpl_req_t, dpl_status_t, guard, refuse};

/// `dpl_condition_t`.
pub type dpl_condition_t = Condition;
/// `dpl_range_t`.
pub type dpl_range_t = Range;

/// Behavior flags of a new request: `DPL_BEHAVIOR_VIRTUAL_HOSTING` and `DPL_BEHAVIOR_KEEP_ALIVE`.
const DEFAULT_BEHAVIOR: c_int = 4 | 8;

/// Number of buckets of the metadata. C can see it, so it is the original's.
const METADATA_BUCKETS: usize = 13;

impl Contents for RequestHead {
    unsafe fn free_contents(&mut self) {
        let strings = [
            self.host,
            self.port,
            self.bucket,
            self.resource,
            self.subresource,
            self.cache_control,
            self.content_disposition,
            self.content_encoding,
            self.content_type,
            self.src_bucket,
            self.src_resource,
            self.src_subresource,
        ];
        // SAFETY: each string is NULL or from malloc, the metadata are NULL or a dictionary, and the request owns them.
        unsafe {
            strings.into_iter().for_each(|string| libc::free(string.cast()));
            drop(Owned::<Dict>::from_raw(self.metadata.cast()));
        }
    }
}

/// Makes a request for [`dpl_req_new`].
fn new_request(ctx: *mut dpl_ctx_t) -> Result<Owned<RequestHead>, Error> {
    let metadata = Dict::new(METADATA_BUCKETS)?;
    // All bytes are zeroed, padding too: programs compare and copy requests by their bytes.
    let block = Block::<RequestHead>::zeroed()?;
    // SAFETY: zero bytes are a valid request, all numbers and NULL; no one else has the block.
    let mut made = unsafe { Owned::from_raw(block.into_raw()) }.ok_or(Error::OutOfMemory)?;
    made.ctx = ctx.cast();
    made.behavior_flags = DEFAULT_BEHAVIOR;
    made.metadata = metadata.into_raw().cast();
    Ok(made)
}

/// Methods of a request for this package. The struct is defined in droplet-conn.
pub trait Request {
    /// Returns the fields of its context. `None` without a context.
    fn fields(&self) -> Option<Fields>;

    /// Returns the metadata. Requests from dplx_req_new() get an empty dictionary here.
    fn metadata(&mut self) -> Result<&Dict, Error>;

    /// Returns the base path of its context.
    fn base_path(&self) -> Vec<u8> {
        self.fields().map_or(b"/".to_vec(), |fields| fields.base_path().to_vec())
    }
}

impl Request for RequestHead {
    fn fields(&self) -> Option<Fields> {
        // SAFETY: `ctx` is NULL or the request's context, which outlives it (dpl_req_new).
        unsafe { Fields::of(self.ctx.cast()) }
    }

    fn metadata(&mut self) -> Result<&Dict, Error> {
        if self.metadata.is_null() {
            self.metadata = Dict::new(METADATA_BUCKETS)?.into_raw().cast();
        }
        // SAFETY: `metadata` is not NULL, and so the request's dictionary.
        Ok(unsafe { &*self.metadata.cast::<Dict>() })
    }
}

/// Makes a request: a GET with virtual hosting that keeps connections open.
///
/// @param ctx the context, which must outlive the request
/// @return the request, to be freed with dpl_req_free(); NULL if memory is out
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_new(ctx: *mut dpl_ctx_t) -> *mut dpl_req_t {
    guard(c"dpl_req_new", ptr::null_mut(), || raw_or_null(new_request(ctx)))
}

/// Frees a request with its strings and metadata. The data to send are not freed. Requests from dplx_req_new() are
/// freed too.
///
/// @param req the request; NULL has no effect
///
/// # Safety
/// `req` is NULL or a request that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_free(req: *mut dpl_req_t) {
    // SAFETY: `req` is NULL or a request that is not used any more (contract of this function).
    guard(c"dpl_req_free", (), || drop(unsafe { Owned::from_raw(req) }))
}

/// Calls `change` with a request. NULL has no effect but a line in the log.
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
unsafe fn set(req: *mut dpl_req_t, change: impl FnOnce(&mut RequestHead), function: &'static CStr) {
    guard(function, (), || {
        // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
        match unsafe { req.as_mut() } {
            Some(req) => change(req),
            None => refuse(None, function, "the request is NULL"),
        }
    })
}

/// Calls `change` with a request and an argument. If one of them is missing, the result is DPL_EINVAL, with a line in the
/// log.
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
unsafe fn try_set<T>(
    req: *mut dpl_req_t,
    argument: Option<T>,
    change: impl FnOnce(&mut RequestHead, T) -> Result<(), Error>,
    function: &'static CStr,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
        let Some((req, argument)) = (unsafe { req.as_mut() }).zip(argument) else {
            refuse(None, function, "the request or the value is NULL");
            return Error::Invalid.status();
        };
        code(change(req, argument))
    })
}
