//! Sets how the shared library is linked, and generates the C header.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=cbindgen.toml");

    let name = if cfg!(feature = "standalone") { "libdroplet.so.0" } else { "libdroplet_conn.so.0" };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
    // It has fork handlers: once loaded it must stay (pthread_atfork(3)).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");

    #[cfg(feature = "standalone")]
    cc::Build::new().file("src/standalone/variadic.c").warnings_into_errors(true).compile("variadic");

    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by Cargo"));
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("set by Cargo")).join("droplet_conn.h");
    fs::write(&header, generate(&root)).expect("OUT_DIR is writable");
    // For tests/header.rs, which compares it with the committed one.
    println!("cargo::rustc-env=GENERATED_HEADER={}", header.display());
}

/// The header's text. Only the exports are read: elsewhere are declarations of other libraries' functions.
fn generate(root: &Path) -> String {
    let config = cbindgen::Config::from_root_or_default(root);
    let exports = cbindgen::Builder::new().with_config(config).with_src(root.join("src/exports/mod.rs"));
    let mut text = Vec::new();
    exports.generate().expect("the exports make a header").write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    // What is a safety section to Rust is a precondition to C, and a link is a mention.
    text.replace(" * # Safety\n * ", " * @pre ").replace("[`dpl", "dpl").replace("`]", "()")
}
