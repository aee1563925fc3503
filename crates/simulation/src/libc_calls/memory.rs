//! Memory.

use std::ffi::c_void;
use std::ptr;

use libc::size_t;

use super::fault;
use crate::faults::Call;
use crate::real::{failed, is_simulated};
use crate::threads::let_others_run;
use crate::world::with;

unsafe extern "C" {
    fn __libc_malloc(size: size_t) -> *mut c_void;
    fn __libc_calloc(count: size_t, size: size_t) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: size_t) -> *mut c_void;
}

/// True if an allocation is to fail now. Large ones do not: Rust ends the process then, as docs/architecture.md says.
fn memory_is_short(size: size_t) -> bool {
    if !is_simulated() || size > 4096 {
        return false;
    }
    // A thread may lose its processor at any place, also in a critical section: this is a place in most of them.
    if with(|world| world.random.u8(..) == 0) {
        let_others_run();
    }
    let is_short = fault(Call::Memory).is_some();
    if is_short {
        failed(libc::ENOMEM);
    }
    is_short
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: size_t) -> *mut c_void {
    // SAFETY: libc's function, whose contract the caller keeps.
    if memory_is_short(size) { ptr::null_mut() } else { unsafe { __libc_malloc(size) } }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: size_t, size: size_t) -> *mut c_void {
    // SAFETY: as above.
    if memory_is_short(count * size) { ptr::null_mut() } else { unsafe { __libc_calloc(count, size) } }
}

#[unsafe(no_mangle)]
extern "C" fn realloc(block: *mut c_void, size: size_t) -> *mut c_void {
    // SAFETY: as above.
    if memory_is_short(size) { ptr::null_mut() } else { unsafe { __libc_realloc(block, size) } }
}
