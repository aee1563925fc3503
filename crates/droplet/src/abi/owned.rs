//! What C frees in the end: owned until it is handed over.

use std::mem;
use std::ops::{Deref, DerefMut};

use droplet_client::status::Error;
use droplet_conn::abi::memory::Block;

/// A struct of C's with memory that belongs to it.
pub trait Contents {
    /// Frees what belongs to it, but not itself.
    ///
    /// # Safety
    /// Nobody uses it any more, except to free it.
    unsafe fn free_contents(&mut self);
}

/// A struct in a block from malloc(3), freed with its contents unless it is handed over.
pub struct Owned<T: Contents>(Block<T>);

impl<T: Contents> Owned<T> {
    /// Puts a value into a block. It is freed with its contents if there is no memory for that.
    pub fn new(mut value: T) -> Result<Owned<T>, Error> {
        let Ok(block) = Block::<T>::new() else {
            // SAFETY: it is dropped here.
            unsafe { value.free_contents() };
            return Err(Error::OutOfMemory);
        };
        // SAFETY: the block has room for it.
        unsafe { block.as_ptr().write(value) };
        Ok(Owned(block))
    }

    /// Takes back what was handed over; nothing for NULL.
    ///
    /// # Safety
    /// `pointer` is NULL, or points to a valid `T` in a block from malloc that nobody else uses.
    pub unsafe fn from_raw(pointer: *mut T) -> Option<Owned<T>> {
        // SAFETY: the caller's promise.
        unsafe { Block::from_raw(pointer) }.map(Owned)
    }

    /// Hands it over to whoever frees it.
    pub fn into_raw(self) -> *mut T {
        let pointer = self.0.as_ptr();
        mem::forget(self);
        pointer
    }
}

impl<T: Contents> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a value, and nobody else has it.
        unsafe { &*self.0.as_ptr() }
    }
}

impl<T: Contents> DerefMut for Owned<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.as_ptr() }
    }
}

impl<T: Contents> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: nobody else has it, and only the block is freed after it.
        unsafe { self.free_contents() };
    }
}

/// A pointer for C: NULL for an error.
pub fn raw_or_null<T: Contents>(made: Result<Owned<T>, Error>) -> *mut T {
    made.map_or(std::ptr::null_mut(), Owned::into_raw)
}
