//! Links the package droplet-conn into `libdroplet_conn.so` and `libdroplet_conn.a`.
//!
//! It is a package of its own because Cargo optimises only libraries that are no Rust library as well as a whole
//! (LTO), and because a library's linker options would otherwise reach `libdroplet.so.0`, which is linked from the
//! same package.

extern crate c_interface;
