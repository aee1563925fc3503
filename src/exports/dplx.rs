//! Our own interface, beyond the original's.

use libc::c_char;

/// The version of this library.
///
/// @return a constant string such as "0.1.0", not to be freed
#[unsafe(no_mangle)]
pub extern "C" fn dplx_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
