//! IO vectors: their size, and a dump of their bytes.

use std::io::Write;
use std::slice;

use libc::{c_int, iovec, size_t};

use crate::dump::Dump;
use droplet_client::os::sys;
use droplet_conn::exports::guard_aside;

/// Returns the pieces of an IO vector. NULL and a negative count are an empty one.
///
/// # Safety
/// `iov` is NULL or points to `n_iov` pieces.
unsafe fn pieces<'a>(iov: *const iovec, n_iov: c_int) -> &'a [iovec] {
    let count = usize::try_from(n_iov).unwrap_or(0);
    if iov.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: `iov` is NULL or points to `n_iov` pieces (contract of this function).
    unsafe { slice::from_raw_parts(iov, count) }
}

/// Returns the number of bytes in an IO vector.
///
/// @param iov the pieces
/// @param n_iov the number of pieces
/// @return the sum of their lengths
///
/// # Safety
/// `iov` is NULL or points to `n_iov` pieces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_iov_size(iov: *mut iovec, n_iov: c_int) -> size_t {
    guard_aside(c"dpl_iov_size", 0, || {
        // SAFETY: `iov` is NULL or points to `n_iov` pieces (contract of this function).
        unsafe { pieces(iov, n_iov) }.iter().fold(0, |sum: usize, piece| sum.wrapping_add(piece.iov_len))
    })
}

/// Writes an IO vector to stderr, for people to read.
///
/// @param iov the pieces
/// @param n_iov the number of pieces
/// @param n_bytes the greatest number of bytes to write
/// @param binary 0 to write the bytes themselves, else to write their offsets, values and characters
///
/// # Safety
/// `iov` is NULL or points to `n_iov` pieces of readable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_iov_dump(iov: *mut iovec, n_iov: c_int, n_bytes: size_t, binary: c_int) {
    guard_aside(c"dpl_iov_dump", (), || {
        let mut text = Vec::new();
        let mut left = n_bytes;
        let mut dump = Dump::new(binary != 0);
        // SAFETY: `iov` is NULL or points to `n_iov` pieces of readable memory (contract of this function).
        for (number, piece) in unsafe { pieces(iov, n_iov) }.iter().enumerate() {
            if left == 0 {
                break;
            }
            let length = piece.iov_len.min(left);
            left -= length;
            let bytes: &[u8] = if piece.iov_base.is_null() || length == 0 {
                &[]
            } else {
                // SAFETY: `iov` is NULL or points to `n_iov` pieces of readable memory (contract of this
                // function).
                unsafe { slice::from_raw_parts(piece.iov_base.cast(), length) }
            };
            if binary != 0 {
                let _ = writeln!(text, "{number}: len={}", piece.iov_len);
            }
            dump.piece(&mut text, bytes);
        }
        sys::print_error(&text);
    })
}
