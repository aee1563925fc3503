//! Output to a `FILE` of C's.

use std::ffi::CStr;

use libc::{FILE, c_int};

/// Writes a text to a file.
///
/// # Safety
/// `file` is open for writing.
pub unsafe fn put(file: *mut FILE, text: &CStr) {
    // SAFETY: the caller's promise.
    unsafe { libc::fputs(text.as_ptr(), file) };
}

/// Writes spaces to a file.
///
/// # Safety
/// `file` is open for writing.
pub unsafe fn indent(file: *mut FILE, level: c_int) {
    for _ in 0..level {
        // SAFETY: the caller's promise.
        unsafe { put(file, c" ") };
    }
}
