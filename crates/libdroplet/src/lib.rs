//! Links the package droplet into `libdroplet.so.0`.
//!
//! It is a package of its own for the reasons that `crates/libdroplet_conn` gives. The code then is in a Rust library,
//! which tests can link.

extern crate c_interface;
