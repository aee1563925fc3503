//! Droplet's own units, for programs that have no Droplet: what `libdroplet.so.0` exports besides the
//! connection subsystem (`exports-standalone.txt`). One file or folder a unit; the rules are those of
//! [`droplet_conn::exports`]. What needs no C stands in safe modules of its own.
//!
//! Functions with any number of arguments are defined in `variadic.c`; under its exported name each is a
//! jump there, since only what Rust defines is exported.
#![allow(non_camel_case_types)]

pub mod context;
pub mod dict;
mod dump;
mod fields;
pub mod http;
mod httpreply;
mod httprequest;
mod layout;
pub mod log;
pub mod owned;
mod reply_memory;
mod req;
mod sbuf;
mod value;
mod vec;
