//! `dpl_req_t`: the bucket that a request wants to connect to, and the host that it got.
//!
//! A request is plain C memory, the same with all layouts of contexts. So Droplet's functions work on requests of this
//! library, and this library's on Droplet's.

use std::ffi::CStr;

use libc::{c_char, c_uint};

use super::context_view::View;
use super::droplet;
use super::layout::RequestHead;
use super::memory::{Block, duplicate, replace, string};
use droplet_client::status::Error;

/// `DPL_BEHAVIOR_VIRTUAL_HOSTING`.
const VIRTUAL_HOSTING: c_uint = 4;
/// `DPL_BEHAVIOR_KEEP_ALIVE`.
const KEEP_ALIVE: c_uint = 8;

/// A request, which only the caller uses.
pub struct Request<'a>(&'a mut RequestHead);

impl<'a> Request<'a> {
    /// Returns the request at this address; `None` for NULL.
    ///
    /// # Safety
    /// `request` is NULL, or points to a valid `dpl_req_t` that only the caller uses for `'a`.
    pub unsafe fn from_pointer(request: *mut RequestHead) -> Option<Request<'a>> {
        // SAFETY: `request` is NULL or valid for `'a` (contract of this function).
        unsafe { request.as_mut() }.map(Request)
    }

    /// Makes a request as Droplet does. C frees it with [`Request::free`].
    pub fn make(context: &View, bucket: Option<&CStr>) -> Result<*mut RequestHead, Error> {
        let bucket = bucket.map(duplicate).transpose()?;
        let request = empty(context)?;
        if let Some(bucket) = bucket {
            // SAFETY: `empty` has just made it, and nobody else has it.
            unsafe { (*request).bucket = bucket.into_raw() };
        }
        Ok(request)
    }

    /// Frees a request. It calls Droplet's `dpl_req_free` if there is one, which frees what Droplet's setters added.
    ///
    /// # Safety
    /// `request` is NULL, or came from [`Request::make`] and is not used any more.
    pub unsafe fn free(request: *mut RequestHead) {
        // Droplet's function does not take NULL.
        if request.is_null() {
            return;
        }
        if let Some(free) = droplet::free_request() {
            // SAFETY: NULL has no effect there; a request of this library is laid out as Droplet's own, and is not used
            // any more (contract of this function).
            return unsafe { free(request) };
        }
        // SAFETY: `request` is NULL, or a request that nobody uses any more (contract of this function).
        let Some(RequestHead { host, port, bucket, .. }) = (unsafe { request.as_ref() }) else { return };
        for memory in [host.cast(), port.cast(), bucket.cast(), request.cast()] {
            // SAFETY: each is NULL or a block from malloc(3) that the request owns.
            unsafe { libc::free(memory) };
        }
    }

    /// Returns the bucket to connect to, as `BUCKET.HOST`, if the request asks for virtual hosting.
    #[inline]
    pub fn virtual_bucket(&self) -> Option<&'a CStr> {
        if self.0.behavior_flags as c_uint & VIRTUAL_HOSTING == 0 {
            return None;
        }
        // SAFETY: the `bucket` field of a request is NULL or a string.
        unsafe { string(self.0.bucket) }.filter(|bucket| !bucket.is_empty())
    }

    /// Returns whether its host and port fields are these.
    ///
    /// # Safety
    /// `host` and `port` are NULL or strings.
    #[inline]
    pub unsafe fn is_to(&self, host: *const c_char, port: *const c_char) -> bool {
        let is = |field: *const c_char, text: *const c_char| {
            // SAFETY: neither is NULL; a request's fields are strings, and so are the arguments (contract of this
            // function).
            !field.is_null() && !text.is_null() && unsafe { libc::strcmp(field, text) } == 0
        };
        is(self.0.host, host) && is(self.0.port, port)
    }

    /// Sets its host and port fields.
    #[inline]
    pub fn set_host(&mut self, host: &CStr, port: &CStr) -> Result<(), Error> {
        replace(&mut self.0.host, host)?;
        replace(&mut self.0.port, port)
    }
}

/// Makes a request without a bucket and without metadata.
fn empty(context: &View) -> Result<*mut RequestHead, Error> {
    let request = Block::<RequestHead>::zeroed()?;
    // SAFETY: zero bytes are a valid value, since all fields are integers and pointers. Nobody else has it.
    let head = unsafe { &mut *request.as_ptr() };
    head.ctx = context.pointer_to_context().cast();
    head.behavior_flags = (VIRTUAL_HOSTING | KEEP_ALIVE) as libc::c_int;
    Ok(request.into_raw())
}
