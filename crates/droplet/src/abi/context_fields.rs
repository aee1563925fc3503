//! The fields of a context that requests read.

use std::ffi::CStr;
use std::mem::offset_of;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use libc::{c_char, c_void};

use crate::http::request::Encoding;
use droplet_conn::abi::layout::{Context30, ContextHead};
use droplet_conn::abi::memory::string;

/// A pointer to a context of Droplet 3.0. Programs may change its fields at any time, so no Rust reference to the
/// context exists, and each read of a field is atomic.
#[derive(Clone, Copy)]
pub struct Fields(*mut Context30);

impl Fields {
    /// Returns the fields of a context. `None` for NULL.
    ///
    /// # Safety
    /// `ctx` is NULL, or points to a context that outlives the returned value.
    pub unsafe fn of(ctx: *mut ContextHead) -> Option<Fields> {
        (!ctx.is_null()).then(|| Fields(ctx.cast()))
    }

    fn int(&self, offset: usize) -> i32 {
        // SAFETY: `offset` is the offset of an int in `Context30`, and the context is alive (contract of `of`).
        unsafe { AtomicI32::from_ptr(self.0.byte_add(offset).cast()) }.load(Ordering::Relaxed)
    }

    fn pointer<T>(&self, offset: usize) -> *mut T {
        // SAFETY: `offset` is the offset of a pointer in `Context30`, and the context is alive (contract of `of`).
        unsafe { AtomicPtr::from_ptr(self.0.byte_add(offset).cast()) }.load(Ordering::Relaxed)
    }

    fn text(&self, offset: usize) -> Option<&CStr> {
        // SAFETY: the fields that are read here are NULL or point to strings that the context owns.
        unsafe { string(self.pointer::<c_char>(offset)) }
    }

    /// Returns the program's trace function, or NULL.
    pub fn trace_func(&self) -> *mut c_void {
        self.pointer(offset_of!(Context30, trace_func))
    }

    /// Returns the path that all resources lie below.
    pub fn base_path(&self) -> &[u8] {
        self.text(offset_of!(Context30, base_path)).unwrap_or(c"/").to_bytes()
    }

    /// Returns whether `/` is a resource of its own below the base path.
    pub fn preserves_root_path(&self) -> bool {
        self.int(offset_of!(Context30, preserve_root_path)) != 0
    }

    /// Returns the encoding of resources.
    pub fn encoding(&self) -> Encoding {
        Encoding {
            is_on: self.int(offset_of!(Context30, url_encoding)) != 0,
            takes_slashes: self.int(offset_of!(Context30, encode_slashes)) != 0,
        }
    }

    /// Returns the name and the password. `None` unless both are set.
    pub fn keys(&self) -> Option<(&[u8], &[u8])> {
        let access = self.text(offset_of!(Context30, access_key))?;
        Some((access.to_bytes(), self.text(offset_of!(Context30, secret_key))?.to_bytes()))
    }
}
