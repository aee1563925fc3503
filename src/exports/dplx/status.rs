//! The meaning of status codes.

use libc::c_char;

use crate::exports::dpl_status_t;
use droplet_client::status;

/// Returns the meaning of a status. The reason why a call failed is in dplx_last_error().
///
/// @param status a dpl_status_t
/// @return a constant such as "timed out"; "unknown status" for a number that is none
#[unsafe(no_mangle)]
pub extern "C" fn dplx_status_text(status: dpl_status_t) -> *const c_char {
    status::meaning_for_c(status).as_ptr()
}
