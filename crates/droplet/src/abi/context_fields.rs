//! What requests and replies read in a context.

use std::ffi::CStr;
use std::mem::offset_of;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use libc::{c_char, c_void};

use crate::http::request::Encoding;
use droplet_conn::abi::context::ContextHead;
use droplet_conn::abi::layout::Context30;
use droplet_conn::abi::memory::string;

/// The fields of a context of Droplet 3.0. Programs may set them at any time, so that no reference to a
/// context is made.
#[derive(Clone, Copy)]
pub struct Fields(*mut Context30);

impl Fields {
    /// Those of the context at this address; nothing for NULL.
    ///
    /// # Safety
    /// `ctx` is NULL, or points to a context that lives as long as this.
    pub unsafe fn of(ctx: *mut ContextHead) -> Option<Fields> {
        (!ctx.is_null()).then(|| Fields(ctx.cast()))
    }

    fn int(&self, offset: usize) -> i32 {
        // SAFETY: an aligned int lies there for as long as the context lives.
        unsafe { AtomicI32::from_ptr(self.0.byte_add(offset).cast()) }.load(Ordering::Relaxed)
    }

    fn pointer<T>(&self, offset: usize) -> *mut T {
        // SAFETY: an aligned pointer lies there for as long as the context lives.
        unsafe { AtomicPtr::from_ptr(self.0.byte_add(offset).cast()) }.load(Ordering::Relaxed)
    }

    fn text(&self, offset: usize) -> Option<&CStr> {
        // SAFETY: the pointers that are asked for are NULL or lead to strings, which live as long as the context.
        unsafe { string(self.pointer::<c_char>(offset)) }
    }

    /// The program's function for traces, or NULL.
    pub fn trace_func(&self) -> *mut c_void {
        self.pointer(offset_of!(Context30, trace_func))
    }

    /// Where all resources lie.
    pub fn base_path(&self) -> &[u8] {
        self.text(offset_of!(Context30, base_path)).unwrap_or(c"/").to_bytes()
    }

    /// Whether `/` is a resource below the base path, and not that itself.
    pub fn preserves_root_path(&self) -> bool {
        self.int(offset_of!(Context30, preserve_root_path)) != 0
    }

    /// How resources are written.
    pub fn encoding(&self) -> Encoding {
        Encoding {
            is_on: self.int(offset_of!(Context30, url_encoding)) != 0,
            takes_slashes: self.int(offset_of!(Context30, encode_slashes)) != 0,
        }
    }

    /// The name and the password, if there are both.
    pub fn keys(&self) -> Option<(&[u8], &[u8])> {
        let access = self.text(offset_of!(Context30, access_key))?;
        Some((access.to_bytes(), self.text(offset_of!(Context30, secret_key))?.to_bytes()))
    }

    /// How long a line of a reply's head may be, in bytes.
    pub fn header_size(&self, usual: usize) -> usize {
        usize::try_from(self.int(offset_of!(Context30, header_size)))
            .ok()
            .filter(|size| *size > 0)
            .unwrap_or(usual)
    }

    /// Whether connections are used for more than one request.
    pub fn keeps_alive(&self) -> bool {
        self.int(offset_of!(Context30, keep_alive)) != 0
    }
}
