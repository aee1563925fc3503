//! The names of status codes.

use std::ffi::CStr;

use libc::c_char;

use droplet_conn::exports::dpl_status_t;

/// Returns the name of a status.
///
/// @param status a status
/// @return a constant string such as "DPL_SUCCESS"; "Unknown error" for others
#[unsafe(no_mangle)]
pub extern "C" fn dpl_status_str(status: dpl_status_t) -> *const c_char {
    static NAMES: [&CStr; 22] = [
        c"DPL_SUCCESS",
        c"DPL_FAILURE",
        c"DPL_ENOENT",
        c"DPL_EINVAL",
        c"DPL_ETIMEOUT",
        c"DPL_ENOMEM",
        c"DPL_ESYS",
        c"DPL_EIO",
        c"DPL_ELIMIT",
        c"DPL_ENAMETOOLONG",
        c"DPL_ENOTDIR",
        c"DPL_ENOTEMPTY",
        c"DPL_EISDIR",
        c"DPL_EEXIST",
        c"DPL_ENOTSUPP",
        c"DPL_EREDIRECT",
        c"DPL_ETOOMANYREDIR",
        c"DPL_ECONNECT",
        c"DPL_EPERM",
        c"DPL_EPRECOND",
        c"DPL_ECONFLICT",
        c"DPL_ERANGEUNAVAIL",
    ];
    let name = status.checked_neg().and_then(|number| NAMES.get(usize::try_from(number).ok()?));
    name.unwrap_or(&c"Unknown error").as_ptr()
}
