//! A string buffer that grows.

use std::ffi::CStr;
use std::slice;

use libc::{FILE, c_char};

use super::layout::Sbuf;
use super::owned::{Contents, Owned};
use droplet_client::status::Error;
use droplet_conn::abi::memory::{Block, string};

impl Contents for Sbuf {
    unsafe fn free_contents(&mut self) {
        // SAFETY: `buf` is NULL or from malloc, and the struct owns it.
        unsafe { libc::free(self.buf.cast()) };
    }
}

impl Sbuf {
    /// Makes an empty buffer with room for `size` bytes, including the NUL.
    pub fn new(size: usize) -> Result<Owned<Sbuf>, Error> {
        let allocated = size.max(1);
        let buf = Block::<c_char>::of_size(allocated)?;
        // SAFETY: the block has room for at least one byte.
        unsafe { *buf.as_ptr() = 0 };
        Owned::new(Sbuf { buf: buf.into_raw(), len: 0, allocated })
    }

    /// Makes a buffer with these bytes.
    pub fn holding(bytes: &[u8]) -> Result<Owned<Sbuf>, Error> {
        let mut made = Sbuf::new(bytes.len() + 1)?;
        made.append(bytes)?;
        Ok(made)
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        if self.buf.is_null() {
            return &[];
        }
        // SAFETY: `buf` is not NULL, so it holds `len` bytes.
        unsafe { slice::from_raw_parts(self.buf.cast(), self.len) }
    }

    /// Returns the bytes up to the first NUL.
    pub fn text(&self) -> &CStr {
        // SAFETY: `buf` is NULL or ends with a NUL.
        unsafe { string(self.buf) }.unwrap_or_default()
    }

    /// Adds bytes to the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let len = self.len.checked_add(bytes.len()).ok_or(Error::OutOfMemory)?;
        self.make_room(len)?;
        // SAFETY: there is room for `len` bytes and a NUL (make_room). `bytes` do not overlap with the buffer, which is
        // borrowed mutably.
        unsafe {
            self.buf.add(self.len).copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len());
            *self.buf.add(len) = 0;
        }
        self.len = len;
        Ok(())
    }

    /// Makes room for `len` bytes and a NUL.
    fn make_room(&mut self, len: usize) -> Result<(), Error> {
        let needed = len.checked_add(1).ok_or(Error::OutOfMemory)?;
        if !self.buf.is_null() && self.allocated >= needed {
            return Ok(());
        }
        let size = needed.max(self.allocated.saturating_mul(2));
        // SAFETY: `buf` is NULL or from malloc, and the struct owns it.
        let moved = unsafe { libc::realloc(self.buf.cast(), size) };
        if moved.is_null() {
            return Err(Error::OutOfMemory);
        }
        self.buf = moved.cast();
        self.allocated = size;
        Ok(())
    }

    /// Writes the bytes to a file.
    ///
    /// # Safety
    /// `file` is open for writing.
    pub unsafe fn print(&self, file: *mut FILE) {
        // SAFETY: `file` is open for writing (contract of this function).
        unsafe { libc::fwrite(self.bytes().as_ptr().cast(), 1, self.bytes().len(), file) };
    }
}
