//! Droplet's own reply reader, which reads if the environment has `DPLX_REPLY_READER=droplet`. Its functions are the next
//! definitions of these names in the dynamic linker's search order, after those of this library (`RTLD_NEXT`). The
//! environment is read once.

use std::ffi::CStr;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use libc::{c_char, c_int, c_uint, c_void};

use super::{dpl_buffer_func_t, dpl_conn_t, dpl_dict_t, dpl_header_func_t, dpl_status_t};
use crate::abi::droplet;
use crate::exports::{call_log, guard_aside};
use droplet_client::log;
use droplet_client::os::sys::Switch;

/// Type of `dpl_read_http_reply`.
type Read = unsafe extern "C" fn(
    *mut dpl_conn_t,
    c_int,
    *mut *mut c_char,
    *mut c_uint,
    *mut *mut dpl_dict_t,
    *mut c_int,
) -> dpl_status_t;

/// Type of `dpl_read_http_reply_ext`.
type ReadExt = unsafe extern "C" fn(
    *mut dpl_conn_t,
    c_int,
    c_int,
    *mut *mut c_char,
    *mut c_uint,
    *mut *mut dpl_dict_t,
    *mut c_int,
) -> dpl_status_t;

/// Type of `dpl_read_http_reply_buffered`.
type ReadBuffered = unsafe extern "C" fn(
    *mut dpl_conn_t,
    c_int,
    *mut c_int,
    dpl_header_func_t,
    dpl_buffer_func_t,
    *mut c_void,
) -> dpl_status_t;

/// Names of the functions. Bareos has only the first two.
const NAMES: [&CStr; 3] =
    [c"dpl_read_http_reply", c"dpl_read_http_reply_ext", c"dpl_read_http_reply_buffered"];

/// The next definition of each; NULL if this library's reads.
static NEXT: [AtomicPtr<c_void>; 3] = [const { AtomicPtr::new(ptr::null_mut()) }; 3];

/// [`UNKNOWN`], or [`KNOWN`] once [`NEXT`] is set. No lock: a forked child might find it held.
static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const KNOWN: u8 = 1;

/// On if Droplet's reader reads.
static HANDS_OVER: Switch = Switch::new("DPLX_REPLY_READER", "droplet");

/// Returns the next `dpl_read_http_reply`, if it is to read.
pub fn read() -> Option<Read> {
    // SAFETY: NULL, or what dlsym(3) gave for a function of this type.
    unsafe { mem::transmute(next(0)) }
}

/// Returns the next `dpl_read_http_reply_ext`, if it is to read.
pub fn read_ext() -> Option<ReadExt> {
    // SAFETY: as above.
    unsafe { mem::transmute(next(1)) }
}

/// Returns the next `dpl_read_http_reply_buffered`, if it is to read.
pub fn read_buffered() -> Option<ReadBuffered> {
    // SAFETY: as above.
    unsafe { mem::transmute(next(2)) }
}

fn next(which: usize) -> *mut c_void {
    if STATE.load(Ordering::Acquire) == UNKNOWN {
        guard_aside(NAMES[0], (), decide);
    }
    NEXT[which].load(Ordering::Relaxed)
}

/// Reads the environment. Threads that come at once find the same, and one of them logs it.
#[cold]
fn decide() {
    let hands_over = HANDS_OVER.is_on();
    if hands_over {
        for (next, name) in NEXT.iter().zip(NAMES) {
            next.store(droplet::next_definition(name), Ordering::Relaxed);
        }
    }
    let is_first = STATE.swap(KNOWN, Ordering::AcqRel) == UNKNOWN;
    if is_first && hands_over && NEXT[0].load(Ordering::Relaxed).is_null() {
        let log = call_log(None, NAMES[0]);
        log!(
            &log,
            Warning,
            "DPLX_REPLY_READER=droplet: there is no other reply reader, so this library's reads"
        );
    }
}
