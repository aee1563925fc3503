//! The functions of libc that this program replaces. The linker prefers them to libc's for the whole process: for the
//! library, the standard library and OpenSSL. Threads that are not simulated get the real ones.

mod files;
mod memory;
mod names;
mod numbers;
mod sockets;
mod threads;
mod time;
mod transfers;

use std::ffi::c_int;

use crate::faults::Call;
use crate::real::failed;
use crate::world::with;

fn fail(error: c_int) -> c_int {
    failed(error) as c_int
}

/// Returns the error of a call that is to fail now.
fn fault(call: Call) -> Option<c_int> {
    with(|world| world.fault(call))
}
