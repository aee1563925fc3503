//! Droplet's unit `sbuf`: string buffers that grow.

use std::arch::naked_asm;
use std::ffi::CStr;
use std::mem;
use std::ptr;
use std::slice;

use libc::{FILE, c_char, size_t};

use crate::abi::layout::Sbuf;
use crate::abi::owned::{Owned, raw_or_null};
use crate::http::url;
use droplet_client::status::{Error, code};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_status_t, guard, refuse};

/// `dpl_sbuf_t`.
pub type dpl_sbuf_t = Sbuf;

unsafe extern "C" {
    /// `dpl_sbuf_add_str_fmt`, in `variadic.c`.
    fn droplet_conn_sbuf_add_str_fmt(sb: *mut dpl_sbuf_t, format: *const c_char, ...) -> dpl_status_t;
}

// What variadic.c calls, by a name that stays inside: Rust exports whatever it names for C.
std::arch::global_asm!(
    ".globl droplet_conn_sbuf_add_text",
    ".hidden droplet_conn_sbuf_add_text",
    "droplet_conn_sbuf_add_text: jmp {}",
    sym add_text,
);

/// Makes an empty string buffer.
///
/// @param size how many bytes it has room for at first, the NUL among them
/// @return the buffer, to be freed with dpl_sbuf_free(); NULL if memory is out
#[unsafe(no_mangle)]
pub extern "C" fn dpl_sbuf_new(size: size_t) -> *mut dpl_sbuf_t {
    guard(c"dpl_sbuf_new", ptr::null_mut(), || raw_or_null(Sbuf::new(size)))
}

/// Makes a string buffer that holds a string.
///
/// @param str the string, which is copied
/// @return the buffer, to be freed with dpl_sbuf_free(); NULL for a NULL string, or if memory is out
///
/// # Safety
/// `str` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_new_from_str(str: *const c_char) -> *mut dpl_sbuf_t {
    const NAME: &CStr = c"dpl_sbuf_new_from_str";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let Some(text) = (unsafe { string(str) }) else {
            refuse(None, NAME, "the string is NULL");
            return ptr::null_mut();
        };
        raw_or_null(Sbuf::holding(text.to_bytes()))
    })
}

/// Adds bytes at the end.
///
/// @param sb the buffer
/// @param buf the bytes, which may be some of the buffer's own; NULL only if there are none
/// @param len how many there are
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM, and the buffer is then as before
///
/// # Safety
/// `sb` is NULL or a buffer that only the caller uses; `buf` is NULL or points to `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_add(sb: *mut dpl_sbuf_t, buf: *const c_char, len: size_t) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe { add(sb, buf, len, c"dpl_sbuf_add") }
}

/// Adds a string at the end.
///
/// @param sb the buffer
/// @param str the string
/// @return as dpl_sbuf_add()
///
/// # Safety
/// `sb` is NULL or a buffer that only the caller uses; `str` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_add_str(sb: *mut dpl_sbuf_t, str: *const c_char) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe {
        let length = string(str).map_or(1, CStr::count_bytes);
        add(sb, str, length, c"dpl_sbuf_add_str")
    }
}

/// Adds a formatted text at the end.
///
/// @param sb the buffer
/// @param format as for printf(3), with its arguments
/// @return as dpl_sbuf_add()
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn dpl_sbuf_add_str_fmt() -> dpl_status_t {
    naked_asm!("jmp {}", sym droplet_conn_sbuf_add_str_fmt)
}

/// The text of `dpl_sbuf_add_str_fmt`, formatted; NULL if that failed.
///
/// # Safety
/// As for [`dpl_sbuf_add`].
unsafe extern "C" fn add_text(sb: *mut dpl_sbuf_t, text: *const c_char, length: size_t) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe { add(sb, text, length, c"dpl_sbuf_add_str_fmt") }
}

/// Copies a buffer.
///
/// @param src the buffer
/// @return its copy, to be freed with dpl_sbuf_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `src` is NULL or a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_dup(src: *const dpl_sbuf_t) -> *mut dpl_sbuf_t {
    const NAME: &CStr = c"dpl_sbuf_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        match unsafe { src.as_ref() } {
            Some(src) => raw_or_null(Sbuf::holding(src.bytes())),
            None => {
                refuse_null(NAME);
                ptr::null_mut()
            }
        }
    })
}

/// The string in a buffer.
///
/// @param sbuf the buffer
/// @return the string, which stays the buffer's and is valid until it is added to or freed; NULL for NULL
///
/// # Safety
/// `sbuf` is NULL or a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_get_str(sbuf: *mut dpl_sbuf_t) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { sbuf.as_ref() }.map_or(ptr::null_mut(), |sbuf| sbuf.buf)
}

/// Frees a buffer.
///
/// @param sb the buffer; NULL has no effect
///
/// # Safety
/// `sb` is NULL or a buffer that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_free(sb: *mut dpl_sbuf_t) {
    // SAFETY: the caller's promise.
    drop(unsafe { Owned::from_raw(sb) });
}

/// Writes what a buffer holds to a file.
///
/// @param f the file
/// @param sb the buffer
///
/// # Safety
/// `f` is NULL or open for writing; `sb` is NULL or a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_print(f: *mut FILE, sb: *mut dpl_sbuf_t) {
    const NAME: &CStr = c"dpl_sbuf_print";
    guard(NAME, (), || {
        // SAFETY: the caller's promise.
        match unsafe { sb.as_ref() } {
            // SAFETY: the caller's promise.
            Some(sb) if !f.is_null() => unsafe { sb.print(f) },
            _ => refuse_null(NAME),
        }
    })
}

/// Puts `%` and two hexadecimal digits (RFC 3986, section 2.1) in place of every byte that is no letter or
/// digit, nor one of `-`, `.` and `_`.
///
/// @param sb the buffer
/// @return as dpl_sbuf_add()
///
/// # Safety
/// `sb` is NULL or a buffer that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_url_encode(sb: *mut dpl_sbuf_t) -> dpl_status_t {
    const NAME: &CStr = c"dpl_sbuf_url_encode";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: the caller's promise.
        let Some(sb) = (unsafe { sb.as_mut() }) else {
            refuse_null(NAME);
            return Error::Invalid.status();
        };
        code(Sbuf::holding(&url::encoded(sb.bytes())).map(|mut encoded| mem::swap(sb, &mut encoded)))
    })
}

/// Adds bytes for one of the functions above.
///
/// # Safety
/// As for [`dpl_sbuf_add`].
unsafe fn add(sb: *mut Sbuf, buf: *const c_char, len: usize, function: &'static CStr) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: the caller's promise.
        let Some(sb) = (unsafe { sb.as_mut() }) else {
            refuse_null(function);
            return Error::Invalid.status();
        };
        if len == 0 {
            return code(sb.append(&[]));
        }
        if buf.is_null() {
            refuse(None, function, "the text is NULL, or could not be formatted");
            return Error::Invalid.status();
        }
        // No object is larger (malloc(3)), so that no slice may be.
        if isize::try_from(len).is_err() {
            return Error::OutOfMemory.status();
        }
        // SAFETY: the caller's promise. Bytes of the buffer's own move when it grows.
        let bytes = unsafe { slice::from_raw_parts(buf.cast::<u8>(), len) };
        let is_own = sb.bytes().as_ptr_range().contains(&bytes.as_ptr());
        let copy = is_own.then(|| bytes.to_vec());
        code(sb.append(copy.as_deref().unwrap_or(bytes)))
    })
}

fn refuse_null(function: &'static CStr) {
    refuse(None, function, "the string buffer or file is NULL");
}
