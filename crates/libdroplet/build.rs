//! Sets how the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libdroplet.so.0");
    // The library has fork handlers, so it must stay loaded (pthread_atfork(3)).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    for function in ["log", "trace", "sbuf_add_str_fmt"] {
        // Nothing else refers to the function, so that the linker would not take it from its archive.
        println!("cargo::rustc-cdylib-link-arg=-Wl,--undefined=droplet_conn_{function}");
        println!("cargo::rustc-cdylib-link-arg=-Wl,--defsym=dpl_{function}=droplet_conn_{function}");
    }
}
