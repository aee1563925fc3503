//! Droplet's unit `request`: what is asked for.
//!
//! A request is used by one thread at a time. Its strings are copies, blocks from malloc.

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

/// `DPL_BEHAVIOR_VIRTUAL_HOSTING` and `DPL_BEHAVIOR_KEEP_ALIVE`, what a new request has.
const USUAL_BEHAVIOR: c_int = 4 | 8;

/// The buckets of the dictionary of metadata, which C can see.
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
        // SAFETY: each is NULL or from malloc, and the request's own; so is the dictionary.
        unsafe {
            strings.into_iter().for_each(|string| libc::free(string.cast()));
            drop(Owned::<Dict>::from_raw(self.metadata.cast()));
        }
    }
}

/// A request as [`dpl_req_new`] makes it.
fn new_request(ctx: *mut dpl_ctx_t) -> Result<Owned<RequestHead>, Error> {
    let metadata = Dict::new(METADATA_BUCKETS)?;
    // Zeroed as a whole: programs compare and copy requests by their bytes.
    let block = Block::<RequestHead>::zeroed()?;
    // SAFETY: no field has a bit pattern of zeros that it may not have, and nobody else has the block.
    let mut made = unsafe { Owned::from_raw(block.into_raw()) }.ok_or(Error::OutOfMemory)?;
    made.ctx = ctx.cast();
    made.behavior_flags = USUAL_BEHAVIOR;
    made.metadata = metadata.into_raw().cast();
    Ok(made)
}

/// What the functions of this crate need of a request.
pub trait Request {
    /// The context that it was made for.
    fn fields(&self) -> Option<Fields>;

    /// Its metadata. Requests of our own interface have none at first.
    fn metadata(&mut self) -> Result<&Dict, Error>;

    /// The base path of its context.
    fn base_path(&self) -> Vec<u8> {
        self.fields().map_or(b"/".to_vec(), |fields| fields.base_path().to_vec())
    }
}

impl Request for RequestHead {
    fn fields(&self) -> Option<Fields> {
        // SAFETY: a request's context outlives it.
        unsafe { Fields::of(self.ctx.cast()) }
    }

    fn metadata(&mut self) -> Result<&Dict, Error> {
        if self.metadata.is_null() {
            self.metadata = Dict::new(METADATA_BUCKETS)?.into_raw().cast();
        }
        // SAFETY: it is the request's dictionary.
        Ok(unsafe { &*self.metadata.cast::<Dict>() })
    }
}

/// Makes a request: a GET that wants virtual hosting and keeps connections open.
///
/// @param ctx the context that it is for, which must outlive it
/// @return the request, to be freed with dpl_req_free(); NULL if memory is out
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_new(ctx: *mut dpl_ctx_t) -> *mut dpl_req_t {
    guard(c"dpl_req_new", ptr::null_mut(), || raw_or_null(new_request(ctx)))
}

/// Frees a request with its strings and metadata; the data to send stay the caller's.
///
/// @param req the request; NULL has no effect
///
/// # Safety
/// `req` is NULL or a request that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_free(req: *mut dpl_req_t) {
    // SAFETY: the caller's promise.
    guard(c"dpl_req_free", (), || drop(unsafe { Owned::from_raw(req) }))
}

/// Changes a request, if there is one.
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
unsafe fn set(req: *mut dpl_req_t, change: impl FnOnce(&mut RequestHead), function: &'static CStr) {
    guard(function, (), || {
        // SAFETY: the caller's promise.
        match unsafe { req.as_mut() } {
            Some(req) => change(req),
            None => refuse(None, function, "the request is NULL"),
        }
    })
}

/// Changes a request by an argument that must be there too.
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
        // SAFETY: the caller's promise.
        let Some((req, argument)) = (unsafe { req.as_mut() }).zip(argument) else {
            refuse(None, function, "the request or what to set is NULL");
            return Error::Invalid.status();
        };
        code(change(req, argument))
    })
}
