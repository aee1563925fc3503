//! Links the package droplet into `libdroplet.so.0`.
//!
//! It is a package of its own for the reasons that `crates/libdroplet_conn` gives. The code then is in a Rust library,
//! which tests can link.

extern crate c_interface;

/// Reserves names of functions with variable arguments. Rust cannot define these, but it exports no others than its own.
/// So the linker gives the names to the functions of `variadic.c` (`build.rs`).
macro_rules! reserve {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name() {}
    )*};
}

reserve!(dpl_log dpl_trace dpl_sbuf_add_str_fmt);
