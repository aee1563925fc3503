//! Output to a `FILE` of C's.

use std::ffi::CStr;

use libc::{FILE, c_int};

/// Writes a text to a file.
///
/// # Safety
/// `file` is open for writing.
pub unsafe fn put(file: *mut FILE, text: &CStr) {
    // SAFETY: `file` is open for writing (contract of this function).
    unsafe { libc::fputs(text.as_ptr(), file) };
}

/// Writes `level` spaces to a file.
///
/// # Safety
/// `file` is open for writing.
pub unsafe fn indent(file: *mut FILE, level: c_int) {
    for _ in 0..level {
        // SAFETY: `file` is open for writing (contract of this function).
        unsafe { put(file, c" ") };
    }
}
