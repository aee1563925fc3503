//! Links the package droplet-conn into `libdroplet_conn.so` and `libdroplet_conn.a`.
//!
//! It is a package of its own for two reasons. Cargo applies link-time optimisation to a C library only if its package is
//! not a Rust library too. And the linker options of this library must not apply to `libdroplet.so.0`, which is linked
//! from the same code.

extern crate c_interface;
