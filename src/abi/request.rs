//! `dpl_req_t`: which host a request wants, and where to tell which one it got. It is plain C memory in either
//! layout of contexts, so that Droplet's own functions work on ours and ours on Droplet's.

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

/// A request that the caller has to itself.
pub struct Request<'a>(&'a mut RequestHead);

impl<'a> Request<'a> {
    /// The request at this address; nothing for NULL.
    ///
    /// # Safety
    /// `request` is NULL, or points to a `dpl_req_t` that only the caller uses for `'a`.
    pub unsafe fn from_pointer(request: *mut RequestHead) -> Option<Request<'a>> {
        // SAFETY: the caller's promise.
        unsafe { request.as_mut() }.map(Request)
    }

    /// A new request, as Droplet makes them, for C to free with [`Request::free`].
    pub fn make(context: &View, bucket: Option<&CStr>) -> Result<*mut RequestHead, Error> {
        let bucket = bucket.map(duplicate).transpose()?;
        let request = empty(context)?;
        if let Some(bucket) = bucket {
            // SAFETY: just made, and nobody else has it.
            unsafe { (*request).bucket = bucket.into_raw() };
        }
        Ok(request)
    }

    /// Frees a request: by `dpl_req_free` where there is one, since it knows what the setters of the same unit
    /// have added.
    ///
    /// # Safety
    /// `request` is NULL, or came from [`Request::make`] and is not used any more.
    pub unsafe fn free(request: *mut RequestHead) {
        if let Some(free) = droplet::free_request() {
            // SAFETY: NULL has no effect there; a request of this library is laid out as Droplet's own, and is not used
            // any more (contract of this function).
            return unsafe { free(request) };
        }
        // SAFETY: NULL, or a request that is not used any more.
        let Some(RequestHead { host, port, bucket, .. }) = (unsafe { request.as_ref() }) else { return };
        for memory in [host.cast(), port.cast(), bucket.cast(), request.cast()] {
            // SAFETY: each is NULL or came from malloc, and is the request's own.
            unsafe { libc::free(memory) };
        }
    }

    /// The bucket to connect to, as `BUCKET.HOST`, if the request asks for virtual hosting.
    #[inline]
    pub fn virtual_bucket(&self) -> Option<&'a CStr> {
        if self.0.behavior_flags as c_uint & VIRTUAL_HOSTING == 0 {
            return None;
        }
        // SAFETY: a request's strings end with a NUL and belong to it.
        unsafe { string(self.0.bucket) }.filter(|bucket| !bucket.is_empty())
    }

    /// Whether it says that it is connected to this host and port.
    ///
    /// # Safety
    /// Each is NULL or a string.
    #[inline]
    pub unsafe fn is_to(&self, host: *const c_char, port: *const c_char) -> bool {
        let is = |field: *const c_char, text: *const c_char| {
            // SAFETY: a request's strings end with a NUL and belong to it; the caller's is one.
            !field.is_null() && !text.is_null() && unsafe { libc::strcmp(field, text) } == 0
        };
        is(self.0.host, host) && is(self.0.port, port)
    }

    /// Notes the host and port that it is connected to.
    #[inline]
    pub fn set_host(&mut self, host: &CStr, port: &CStr) -> Result<(), Error> {
        replace(&mut self.0.host, host)?;
        replace(&mut self.0.port, port)
    }
}

/// A request without a bucket, or metadata: those are Droplet's own.
fn empty(context: &View) -> Result<*mut RequestHead, Error> {
    let request = Block::<RequestHead>::zeroed()?;
    // SAFETY: zero bytes are a valid value, all integers and NULL; nobody else has it.
    let head = unsafe { &mut *request.as_ptr() };
    head.ctx = context.pointer_to_context().cast();
    head.behavior_flags = (VIRTUAL_HOSTING | KEEP_ALIVE) as libc::c_int;
    Ok(request.into_raw())
}
