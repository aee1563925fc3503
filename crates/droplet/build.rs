//! Sets how the shared library is linked, and compiles the functions with a variable number of arguments.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libdroplet.so.0");
    // The library has fork handlers, so it must stay loaded (pthread_atfork(3)).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // The crate cc names variables of the environment, after which Cargo looks at no file by itself.
    println!("cargo::rerun-if-changed=src/exports/variadic.c");
    println!("cargo::rerun-if-changed=build.rs");
    cc::Build::new().file("src/exports/variadic.c").warnings_into_errors(true).compile("variadic");
}
