//! Ownership of structs that C frees in the end.

use std::mem;
use std::ops::{Deref, DerefMut};

use droplet_client::status::Error;
use droplet_conn::abi::memory::Block;

/// A struct that owns what it points to.
pub trait Contents {
    /// Frees what the struct points to, but not the struct.
    ///
    /// # Safety
    /// The struct is not used any more, except to free its block.
    unsafe fn free_contents(&mut self);
}

/// A struct in a block from malloc(3). It is freed with its contents, unless it is handed to C.
pub struct Owned<T: Contents>(Block<T>);

impl<T: Contents> Owned<T> {
    /// Moves a value into a new block. Without memory for the block, the contents of the value are freed.
    pub fn new(mut value: T) -> Result<Owned<T>, Error> {
        let Ok(block) = Block::<T>::new() else {
            // SAFETY: the value is not used after this.
            unsafe { value.free_contents() };
            return Err(Error::OutOfMemory);
        };
        // SAFETY: the block has room for a `T`.
        unsafe { block.as_ptr().write(value) };
        Ok(Owned(block))
    }

    /// Takes a struct back from C. `None` for NULL.
    ///
    /// # Safety
    /// `pointer` is NULL, or points to a valid `T` in a block from malloc that no one else uses.
    pub unsafe fn from_raw(pointer: *mut T) -> Option<Owned<T>> {
        // SAFETY: `pointer` is NULL, or points to a valid `T` in a block from malloc that no one else uses
        // (contract of this function).
        unsafe { Block::from_raw(pointer) }.map(Owned)
    }

    /// Hands the struct to C, which frees it.
    pub fn into_raw(self) -> *mut T {
        let pointer = self.0.as_ptr();
        mem::forget(self);
        pointer
    }
}

impl<T: Contents> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a `T` (Owned::new, Owned::from_raw), and `self` owns it.
        unsafe { &*self.0.as_ptr() }
    }
}

impl<T: Contents> DerefMut for Owned<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in deref(), and `self` is borrowed mutably.
        unsafe { &mut *self.0.as_ptr() }
    }
}

impl<T: Contents> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `self` owns the struct, and after this only frees its block.
        unsafe { self.free_contents() };
    }
}

/// Hands a struct to C. An error is NULL.
pub fn raw_or_null<T: Contents>(made: Result<Owned<T>, Error>) -> *mut T {
    made.map_or(std::ptr::null_mut(), Owned::into_raw)
}
