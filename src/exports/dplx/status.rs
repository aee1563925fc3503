//! The meaning of status codes.

use std::ffi::CStr;

use libc::c_char;

use crate::exports::dpl_status_t;

/// The texts, by the number of the status without its sign.
static TEXTS: [&CStr; 22] = [
    c"success",
    c"failure",
    c"no such entry",
    c"invalid argument",
    c"timed out",
    c"out of memory",
    c"the system refused",
    c"input or output error",
    c"connection limit reached",
    c"name too long",
    c"not a directory",
    c"directory not empty",
    c"is a directory",
    c"exists already",
    c"not supported",
    c"redirected",
    c"too many redirections",
    c"connect failed",
    c"permission denied",
    c"precondition failed",
    c"conflict",
    c"range not available",
];

/// Returns the meaning of a status. The reason why a call failed is in dplx_last_error().
///
/// @param status a dpl_status_t
/// @return a constant such as "timed out"; "unknown status" for a number that is none
#[unsafe(no_mangle)]
pub extern "C" fn dplx_status_text(status: dpl_status_t) -> *const c_char {
    let text = status.checked_neg().and_then(|number| TEXTS.get(usize::try_from(number).ok()?));
    text.unwrap_or(&c"unknown status").as_ptr()
}
