//! Droplet's unit `sbuf`: string buffers that grow.

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

// The function that variadic.c calls. Its name is hidden; a name with #[no_mangle] would be exported.
std::arch::global_asm!(
    ".globl droplet_conn_sbuf_add_text",
    ".hidden droplet_conn_sbuf_add_text",
    concat!("droplet_conn_sbuf_add_text: ", jump!()),
    sym add_text,
);

/// Makes an empty string buffer.
///
/// @param size the number of bytes that it has room for at first, including the NUL
/// @return the buffer, to be freed with dpl_sbuf_free(); NULL if memory is out
#[unsafe(no_mangle)]
pub extern "C" fn dpl_sbuf_new(size: size_t) -> *mut dpl_sbuf_t {
    guard(c"dpl_sbuf_new", ptr::null_mut(), || raw_or_null(Sbuf::new(size)))
}

/// Makes a string buffer with a string in it.
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
        // SAFETY: `str` is NULL or a string (contract of this function).
        let Some(text) = (unsafe { string(str) }) else {
            refuse(None, NAME, "the string is NULL");
            return ptr::null_mut();
        };
        raw_or_null(Sbuf::holding(text.to_bytes()))
    })
}

/// Adds bytes to the end.
///
/// @param sb the buffer
/// @param buf the bytes, which may be in the buffer itself; may be NULL if `len` is 0
/// @param len the number of bytes
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM, which leaves the buffer unchanged
///
/// # Safety
/// `sb` is NULL or a buffer that only the caller uses; `buf` is NULL or points to `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_add(sb: *mut dpl_sbuf_t, buf: *const c_char, len: size_t) -> dpl_status_t {
    // SAFETY: `sb` is NULL or a buffer that only the caller uses; `buf` is NULL or points to `len` readable
    // bytes (contract of this function).
    unsafe { add(sb, buf, len, c"dpl_sbuf_add") }
}

/// Adds a string to the end.
///
/// @param sb the buffer
/// @param str the string
/// @return as dpl_sbuf_add()
///
/// # Safety
/// `sb` is NULL or a buffer that only the caller uses; `str` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_add_str(sb: *mut dpl_sbuf_t, str: *const c_char) -> dpl_status_t {
    // SAFETY: `sb` is NULL or a buffer that only the caller uses; `str` is NULL or a string (contract of this
    // function).
    unsafe {
        let length = string(str).map_or(1, CStr::count_bytes);
        add(sb, str, length, c"dpl_sbuf_add_str")
    }
}

/// Adds the formatted text of `dpl_sbuf_add_str_fmt`. `text` is NULL if formatting failed, with a length of 0 for want of
/// memory.
///
/// # Safety
/// As for [`dpl_sbuf_add`].
unsafe extern "C" fn add_text(sb: *mut dpl_sbuf_t, text: *const c_char, length: size_t) -> dpl_status_t {
    const NAME: &CStr = c"dpl_sbuf_add_str_fmt";
    if text.is_null() && length == 0 {
        return guard(NAME, Error::Failure.status(), || Error::OutOfMemory.status());
    }
    // SAFETY: `sb` is NULL or a buffer that only the caller uses (contract of this function).
    unsafe { add(sb, text, length, NAME) }
}

/// Copies a buffer.
///
/// @param src the buffer
/// @return the copy, to be freed with dpl_sbuf_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `src` is NULL or a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_dup(src: *const dpl_sbuf_t) -> *mut dpl_sbuf_t {
    const NAME: &CStr = c"dpl_sbuf_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `src` is NULL or a buffer (contract of this function).
        match unsafe { src.as_ref() } {
            Some(src) => raw_or_null(Sbuf::holding(src.bytes())),
            None => {
                refuse_null(NAME);
                ptr::null_mut()
            }
        }
    })
}

/// Returns the string in a buffer.
///
/// @param sbuf the buffer
/// @return the string, which the buffer owns; it is valid until the buffer is changed or freed. NULL for NULL
///
/// # Safety
/// `sbuf` is NULL or a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_get_str(sbuf: *mut dpl_sbuf_t) -> *mut c_char {
    // SAFETY: `sbuf` is NULL or a buffer (contract of this function).
    unsafe { sbuf.as_ref() }.map_or(ptr::null_mut(), |sbuf| sbuf.buf)
}

/// Frees a buffer.
///
/// @param sb the buffer; NULL has no effect
///
/// # Safety
/// `sb` is NULL or a buffer that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_sbuf_free(sb: *mut dpl_sbuf_t) {
    // SAFETY: `sb` is NULL or a buffer that is not used any more (contract of this function).
    drop(unsafe { Owned::from_raw(sb) });
}

/// Writes the bytes of a buffer to a file.
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
        // SAFETY: `sb` is NULL or a buffer (contract of this function).
        match unsafe { sb.as_ref() } {
            // SAFETY: `f` is NULL or open for writing; `sb` is NULL or a buffer (contract of this function).
            Some(sb) if !f.is_null() => unsafe { sb.print(f) },
            _ => refuse_null(NAME),
        }
    })
}

/// Percent-encodes the bytes of a buffer (RFC 3986, section 2.1), except for letters, digits, `-`, `.` and `_`.
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
        // SAFETY: `sb` is NULL or a buffer that only the caller uses (contract of this function).
        let Some(sb) = (unsafe { sb.as_mut() }) else {
            refuse_null(NAME);
            return Error::Invalid.status();
        };
        code(Sbuf::holding(&url::encoded(sb.bytes())).map(|mut encoded| mem::swap(sb, &mut encoded)))
    })
}

/// Adds bytes to a buffer, for the exported function `function`.
///
/// # Safety
/// As for [`dpl_sbuf_add`].
unsafe fn add(sb: *mut Sbuf, buf: *const c_char, len: usize, function: &'static CStr) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: `sb` is NULL or a buffer that only the caller uses; `buf` is NULL or points to `len`
        // readable bytes (contract of this function).
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
        // No object is larger than isize::MAX (malloc(3)), and no slice may be.
        if isize::try_from(len).is_err() {
            return Error::OutOfMemory.status();
        }
        // SAFETY: `buf` points to `len` readable bytes (contract of this function).
        let bytes = unsafe { slice::from_raw_parts(buf.cast::<u8>(), len) };
        // The buffer's own bytes move when it grows, so they are copied first.
        let is_own = sb.bytes().as_ptr_range().contains(&bytes.as_ptr());
        let copy = is_own.then(|| bytes.to_vec());
        code(sb.append(copy.as_deref().unwrap_or(bytes)))
    })
}

fn refuse_null(function: &'static CStr) {
    refuse(None, function, "the string buffer or file is NULL");
}
