//! What the `backend` field of this library's own contexts points to.

use std::ptr;

use libc::{c_char, c_void};

use droplet_client::profile::{BACKENDS, Backend};

/// Target of a context's `backend` field: the name, and functions, all of them NULL here.
#[repr(C)]
struct BackendHead {
    name: *const c_char,
    functions: [*const c_void; 31],
}

// SAFETY: the pointers lead to constants.
unsafe impl Sync for BackendHead {}

static BACKEND_HEADS: [BackendHead; BACKENDS.len()] = {
    let mut heads =
        [const { BackendHead { name: ptr::null(), functions: [ptr::null(); 31] } }; BACKENDS.len()];
    let mut at = 0;
    while at < BACKENDS.len() {
        heads[at].name = BACKENDS[at].name.as_ptr();
        at += 1;
    }
    heads
};

/// Returns the value of the `backend` field for a backend.
pub fn head(backend: &Backend) -> *mut c_void {
    let head = BACKENDS.iter().position(|other| other == backend).map(|at| &raw const BACKEND_HEADS[at]);
    head.map_or(ptr::null_mut(), |head| head.cast_mut().cast())
}
