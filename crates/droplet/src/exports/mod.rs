//! The functions that C sees, one file or folder for each unit of Droplet. The rules are those of
//! [`droplet_conn::exports`]: a pointer becomes a reference, a safe call is made, its result becomes a status; no panic
//! leaves.
//!
//! Rust cannot define functions with a variable number of arguments. `variadic.c` defines them under names of its own;
//! `crates/libdroplet` gives them Droplet's names. What they call here has a hidden name, which is a jump to a function
//! in Rust: a name with `#[no_mangle]` would be exported.
#![allow(non_camel_case_types)]

/// The instruction that goes on in another function, with the same arguments.
#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "jmp {}"
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    () => {
        "b {}"
    };
}

mod context;
mod dict;
mod httprequest;
mod log;
mod request;
mod sbuf;
mod value;
mod vec;
