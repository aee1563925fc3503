//! Blocks of memory that C may free, and strings from C.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;

use libc::c_char;

use droplet_client::status::Error;

/// A block from malloc(3). Dropped, it is freed; [`Block::into_raw`] gives it to C.
pub struct Block<T>(NonNull<T>);

// SAFETY: it owns its memory, and free(3) accepts a block of any thread.
unsafe impl<T: Send> Send for Block<T> {}

impl<T> Block<T> {
    /// Allocates `size` bytes, at least one.
    pub fn of_size(size: usize) -> Result<Block<T>, Error> {
        // glibc allocates no larger object (malloc(3)).
        isize::try_from(size).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: malloc(3) accepts any size.
        let memory = unsafe { libc::malloc(size.max(1)) };
        NonNull::new(memory.cast()).map(Block).ok_or(Error::OutOfMemory)
    }

    /// Allocates room for a value, uninitialised.
    pub fn new() -> Result<Block<T>, Error> {
        Block::of_size(size_of::<T>())
    }

    /// Takes a block back from C; `None` for NULL.
    ///
    /// # Safety
    /// `memory` is NULL, or a block from malloc(3) that nobody else frees.
    pub unsafe fn from_raw(memory: *mut T) -> Option<Block<T>> {
        NonNull::new(memory).map(Block)
    }

    /// Allocates room for a value, every byte 0.
    pub fn zeroed() -> Result<Block<T>, Error> {
        // SAFETY: calloc(3) accepts any size.
        let memory = unsafe { libc::calloc(1, size_of::<T>().max(1)) };
        NonNull::new(memory.cast()).map(Block).ok_or(Error::OutOfMemory)
    }

    /// Returns its address.
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Gives the block to C, which frees it.
    pub fn into_raw(self) -> *mut T {
        let memory = self.0.as_ptr();
        std::mem::forget(self);
        memory
    }
}

impl<T> Drop for Block<T> {
    fn drop(&mut self) {
        // SAFETY: a block comes from malloc(3), and `into_raw` forgets one that is given to C.
        unsafe { libc::free(self.0.as_ptr().cast()) };
    }
}

/// Copies a text that a server chose, of any length, as a string. A text with a NUL in it is none.
pub fn c_string(text: &[u8]) -> Result<CString, Error> {
    let mut copy = Vec::new();
    // With room for the NUL, so that nothing is allocated afterwards.
    copy.try_reserve_exact(text.len() + 1).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(text);
    CString::new(copy).map_err(|_| Error::Failure)
}

/// A block from malloc(3) that grows. It ends with a NUL, which does not count.
#[derive(Default)]
pub struct Growing {
    block: Option<Block<u8>>,
    length: usize,
    size: usize,
}

impl Growing {
    /// Returns the number of bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Adds bytes to the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = self.length.checked_add(bytes.len()).ok_or(Error::OutOfMemory)?;
        let needed = length.checked_add(1).ok_or(Error::OutOfMemory)?;
        if needed > self.size {
            // Twice as much at once, so that bytes are moved seldom; less if memory is short.
            let roomy = needed.max(self.size.saturating_mul(2));
            self.grow(roomy).or_else(|_| self.grow(needed))?;
        }
        if let Some(block) = &self.block {
            // SAFETY: the block has room for `length` bytes and a NUL, and nobody else has it.
            unsafe {
                block.as_ptr().add(self.length).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                *block.as_ptr().add(length) = 0;
            }
        }
        self.length = length;
        Ok(())
    }

    fn grow(&mut self, size: usize) -> Result<(), Error> {
        isize::try_from(size).map_err(|_| Error::OutOfMemory)?;
        let old = self.block.as_ref().map_or(std::ptr::null_mut(), Block::as_ptr);
        // SAFETY: NULL or a block from malloc(3), which this owns.
        let moved = unsafe { libc::realloc(old.cast(), size) };
        let moved = NonNull::new(moved.cast()).ok_or(Error::OutOfMemory)?;
        // realloc(3) has freed the old block, or it is the same.
        std::mem::forget(self.block.replace(Block(moved)));
        self.size = size;
        Ok(())
    }

    /// Gives the block to C, which frees it; NULL if there are no bytes.
    pub fn into_raw(self) -> *mut c_char {
        self.block.map_or(std::ptr::null_mut(), |block| block.into_raw().cast())
    }
}

/// Copies a string by strdup(3).
pub fn duplicate(text: &CStr) -> Result<Block<c_char>, Error> {
    // SAFETY: a `CStr` ends with a NUL.
    NonNull::new(unsafe { libc::strdup(text.as_ptr()) }).map(Block).ok_or(Error::OutOfMemory)
}

/// Returns a string argument; `None` for NULL.
///
/// # Safety
/// `text` is NULL, or points to a string that ends with a NUL and stays unchanged for `'a`.
#[inline]
pub unsafe fn string<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not NULL, so it points to a string that stays unchanged for `'a` (contract of this function).
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
