//! Droplet's unit `value`: strings, dictionaries, vectors, or pointers of the program's.

use std::ffi::CStr;
use std::ptr;

use libc::{FILE, c_int};

use crate::abi::layout::Value;
use crate::abi::owned::{Owned, raw_or_null};
use droplet_conn::exports::{guard, refuse};

/// `dpl_value_t`.
pub type dpl_value_t = Value;

/// Frees a value and all that it contains. What a pointer points to is not freed.
///
/// @param value the value; NULL has no effect
///
/// # Safety
/// `value` is NULL or a value that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_value_free(value: *mut dpl_value_t) {
    // SAFETY: `value` is NULL or a value that is not used any more (contract of this function).
    guard(c"dpl_value_free", (), || drop(unsafe { Owned::from_raw(value) }))
}

/// Copies a value and all that it contains. A pointer is copied, but not what it points to.
///
/// @param src the value
/// @return the copy, to be freed with dpl_value_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `src` is NULL or a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_value_dup(src: *mut dpl_value_t) -> *mut dpl_value_t {
    const NAME: &CStr = c"dpl_value_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `src` is NULL or a value (contract of this function).
        match unsafe { src.as_ref() } {
            Some(src) => raw_or_null(src.copy()),
            None => {
                refuse(None, NAME, "the value is NULL");
                ptr::null_mut()
            }
        }
    })
}

/// Writes a value to a file, for people to read.
///
/// @param val the value
/// @param f the file
/// @param level the number of spaces that lines are indented by
/// @param indent 0 not to indent the first line
///
/// # Safety
/// `val` is NULL or a value; `f` is NULL or open for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_value_print(val: *mut dpl_value_t, f: *mut FILE, level: c_int, indent: c_int) {
    const NAME: &CStr = c"dpl_value_print";
    guard(NAME, (), || {
        // SAFETY: `val` is NULL or a value (contract of this function).
        match unsafe { val.as_ref() } {
            // SAFETY: `f` is NULL or open for writing (contract of this function).
            Some(value) if !f.is_null() => unsafe { value.print(f, level, indent != 0) },
            _ => refuse(None, NAME, "the value or the file is NULL"),
        }
    })
}
