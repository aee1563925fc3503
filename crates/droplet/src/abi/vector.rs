//! A vector of values: an array that grows.

use std::slice;

use libc::{FILE, c_int};

use super::file::put;
use super::layout::{Value, Vector};
use super::owned::{Contents, Owned};
use droplet_client::status::Error;
use droplet_conn::abi::memory::Block;

impl Contents for Vector {
    unsafe fn free_contents(&mut self) {
        for item in self.items() {
            // SAFETY: each item is NULL or a value that the vector owns.
            drop(unsafe { Owned::from_raw(*item) });
        }
        // SAFETY: the array is NULL or from malloc, and the vector owns it.
        unsafe { libc::free(self.items.cast()) };
    }
}

impl Vector {
    /// Makes an empty vector with room for `size` items. It grows by `growth` items, or by half its size if that is 0 or
    /// less.
    pub fn new(size: c_int, growth: c_int) -> Result<Owned<Vector>, Error> {
        let room = usize::try_from(size).map_err(|_| Error::Invalid)?;
        let items = items_of_size(room)?.into_raw();
        Owned::new(Vector { items, n_items: 0, size, incr_size: growth })
    }

    /// Returns the items. Each is NULL or a value.
    pub fn items(&self) -> &[*mut Value] {
        match usize::try_from(self.n_items) {
            // SAFETY: the array is not NULL, so it has `n_items` items.
            Ok(count) if !self.items.is_null() => unsafe { slice::from_raw_parts(self.items, count) },
            _ => &[],
        }
    }

    /// Returns the items that are not NULL.
    fn values(&self) -> impl Iterator<Item = &Value> {
        // SAFETY: each item is NULL or a value.
        self.items().iter().filter_map(|item| unsafe { item.as_ref() })
    }

    /// Adds a value to the end.
    pub fn push(&mut self, value: Owned<Value>) -> Result<(), Error> {
        let count = self.items().len();
        if count >= usize::try_from(self.size).unwrap_or(0) || self.items.is_null() {
            self.grow()?;
        }
        // SAFETY: the array has room for more than `count` items (grow).
        unsafe { *self.items.add(count) = value.into_raw() };
        self.n_items = c_int::try_from(count + 1).map_err(|_| Error::OutOfMemory)?;
        Ok(())
    }

    /// Moves the items to a larger array.
    fn grow(&mut self) -> Result<(), Error> {
        let growth = if self.incr_size > 0 { self.incr_size } else { (self.size / 2).max(1) };
        let size = self.size.max(0).checked_add(growth).ok_or(Error::OutOfMemory)?;
        let block = items_of_size(size as usize)?;
        // SAFETY: the block is larger than the old array. That is NULL or from malloc, and the vector owns it.
        unsafe {
            block.as_ptr().copy_from(self.items().as_ptr(), self.items().len());
            libc::free(self.items.cast());
        }
        self.items = block.into_raw();
        self.size = size;
        Ok(())
    }

    /// Copies the vector and all that it contains.
    pub fn copy(&self) -> Result<Owned<Vector>, Error> {
        let mut made = Vector::new(self.size, self.incr_size)?;
        self.values().try_for_each(|value| made.push(value.copy()?))?;
        Ok(made)
    }

    /// Writes the items to a file, separated by commas.
    ///
    /// # Safety
    /// `file` is open for writing.
    pub unsafe fn print(&self, file: *mut FILE, level: c_int) {
        for (number, value) in self.values().enumerate() {
            // SAFETY: `file` is open for writing (contract of this function).
            unsafe {
                if number > 0 {
                    put(file, c",");
                }
                value.print(file, level, false);
            }
        }
    }
}

/// Allocates an array of items.
fn items_of_size(count: usize) -> Result<Block<*mut Value>, Error> {
    Block::of_size(count.checked_mul(size_of::<*mut Value>()).ok_or(Error::OutOfMemory)?)
}
