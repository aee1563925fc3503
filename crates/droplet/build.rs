//! Compiles the functions with a variable number of arguments.

fn main() {
    // The crate cc names variables of the environment, after which Cargo looks at no file by itself.
    println!("cargo::rerun-if-changed=src/exports/variadic.c");
    println!("cargo::rerun-if-changed=build.rs");
    let mut build = cc::Build::new();
    // Line numbers would name the folder that it is built in.
    build.debug(false);
    build.file("src/exports/variadic.c").warnings_into_errors(true).compile("variadic");
}
