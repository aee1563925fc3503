//! Memory and strings that C may free, and strings that C hands in.

use std::ffi::CStr;
use std::ptr::NonNull;

use libc::c_char;

use droplet_client::status::Error;

/// A block from malloc(3), freed unless it is handed over.
pub struct Block<T>(NonNull<T>);

// SAFETY: it owns its memory.
unsafe impl<T: Send> Send for Block<T> {}

impl<T> Block<T> {
    /// Room for `size` bytes, at least one.
    pub fn of_size(size: usize) -> Result<Block<T>, Error> {
        // No object is larger (malloc(3)).
        isize::try_from(size).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: malloc has no preconditions.
        let memory = unsafe { libc::malloc(size.max(1)) };
        NonNull::new(memory.cast()).map(Block).ok_or(Error::OutOfMemory)
    }

    /// Room for a value, uninitialised.
    pub fn new() -> Result<Block<T>, Error> {
        Block::of_size(size_of::<T>())
    }

    /// Takes back what was handed over; nothing for NULL.
    ///
    /// # Safety
    /// `memory` is NULL, or a block from malloc that nobody else frees.
    pub unsafe fn from_raw(memory: *mut T) -> Option<Block<T>> {
        NonNull::new(memory).map(Block)
    }

    /// Room for a value, every byte 0.
    pub fn zeroed() -> Result<Block<T>, Error> {
        // SAFETY: calloc has no preconditions.
        let memory = unsafe { libc::calloc(1, size_of::<T>().max(1)) };
        NonNull::new(memory.cast()).map(Block).ok_or(Error::OutOfMemory)
    }

    /// Its address.
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Hands the block over to whoever frees it.
    pub fn into_raw(self) -> *mut T {
        let memory = self.0.as_ptr();
        std::mem::forget(self);
        memory
    }
}

impl<T> Drop for Block<T> {
    fn drop(&mut self) {
        // SAFETY: it came from malloc and was not handed over.
        unsafe { libc::free(self.0.as_ptr().cast()) };
    }
}

/// strdup(3).
pub fn duplicate(text: &CStr) -> Result<Block<c_char>, Error> {
    // SAFETY: the text ends with a NUL.
    NonNull::new(unsafe { libc::strdup(text.as_ptr()) }).map(Block).ok_or(Error::OutOfMemory)
}

/// A string argument; nothing for NULL.
///
/// # Safety
/// `text` is NULL, or points to a string that ends with a NUL and stays unchanged for `'a`.
#[inline]
pub unsafe fn string<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// Sets a string field that C frees. It allocates only if the old text is too short for the new one, so that a
/// request that meets the same few hosts again and again does not.
#[inline]
pub fn replace(field: &mut *mut c_char, text: &CStr) -> Result<(), Error> {
    // SAFETY: a string field is NULL or a block from malloc that ends with a NUL, which its struct owns.
    if !field.is_null() && unsafe { libc::strcmp(*field, text.as_ptr()) } == 0 {
        return Ok(());
    }
    // SAFETY: as above, and nobody else changes it meanwhile.
    match unsafe { string(*field) } {
        Some(old) if old.count_bytes() >= text.count_bytes() => {
            // SAFETY: the block holds the old text with its NUL, which is at least as long.
            unsafe { (*field).copy_from(text.as_ptr(), text.count_bytes() + 1) };
        }
        _ => {
            let copy = duplicate(text)?;
            // SAFETY: NULL or a block from malloc, as above.
            unsafe { libc::free((*field).cast()) };
            *field = copy.into_raw();
        }
    }
    Ok(())
}
