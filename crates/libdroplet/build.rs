//! Sets how the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libdroplet.so.0");
    // The library has fork handlers, so it must stay loaded (pthread_atfork(3)).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
