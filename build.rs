//! Generates the C headers.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=crates/droplet/src");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=include/droplet-3.0.in");

    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by Cargo"));
    let headers = PathBuf::from(env::var_os("OUT_DIR").expect("set by Cargo")).join("include");
    fs::create_dir_all(&headers).expect("OUT_DIR is writable");
    let config = cbindgen::Config::from_root_or_default(&root);
    fs::write(headers.join("droplet_conn.h"), declarations(&root.join("src/exports/mod.rs"), &config))
        .expect("OUT_DIR is writable");
    fill_templates(&root, &root.join("include/droplet-3.0.in"), &headers.join("droplet-3.0"));
    // tests/header.rs compares the generated headers with the committed ones.
    println!("cargo::rustc-env=GENERATED_HEADERS={}", headers.display());
}

/// Returns the header that cbindgen makes from a source file. Only files with exports are read: others declare
/// functions of other libraries.
fn declarations(source: &Path, config: &cbindgen::Config) -> String {
    let exports = cbindgen::Builder::new().with_config(config.clone()).with_src(source);
    let mut text = Vec::new();
    exports.generate().expect("the exports make a header").write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    let text = ["", "_MAJOR", "_MINOR", "_PATCH"].iter().fold(text, |text, part| {
        let value = env::var(format!("CARGO_PKG_VERSION{part}")).expect("set by Cargo");
        text.replace(&format!("@VERSION{part}@"), &value)
    });
    // A safety section of Rust becomes a precondition, and a link becomes the name of the function. C89 and C++98 know
    // neither a comma after the last constant nor a comment after `//`.
    [
        (" * # Safety\n * ", " * @pre "),
        ("[`dpl", "dpl"),
        ("`]", "()"),
        (",\n}", "\n}"),
        ("#endif // __cplusplus", "#endif"),
        ("#endif  // __cplusplus", "#endif"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to))
}

/// Writes Droplet's own headers: the templates, with each line `@functions SOURCE` replaced by the declarations of the
/// functions that SOURCE exports.
fn fill_templates(root: &Path, templates: &Path, to: &Path) {
    fs::create_dir_all(to).expect("OUT_DIR is writable");
    for template in fs::read_dir(templates).expect("the templates are there") {
        let template = template.expect("readable").path();
        let filled = to.join(template.file_name().expect("it has a name"));
        if template.is_dir() {
            fill_templates(root, &template, &filled);
            continue;
        }
        let text = fs::read_to_string(&template).expect("text");
        let lines = text.lines().map(|line| match line.strip_prefix("@functions ") {
            Some(source) => functions(&root.join(source)),
            None => format!("{line}\n"),
        });
        fs::write(filled, lines.collect::<String>()).expect("OUT_DIR is writable");
    }
}

/// Returns the declarations of the functions that a source file exports, without types.
fn functions(source: &Path) -> String {
    let mut config = cbindgen::Config::from_root_or_default(env::var_os("CARGO_MANIFEST_DIR").expect("set"));
    config.header = None;
    config.after_includes = None;
    config.include_guard = None;
    config.cpp_compat = false;
    let text = declarations(source, &config);
    // cbindgen also declares the types of functions, which are in the templates.
    let is_function = |part: &&str| !part.contains("\ntypedef ") && !part.starts_with("typedef ");
    let parts: Vec<_> = text.split_inclusive(";\n").filter(is_function).collect();
    parts.concat().trim_start().to_owned()
}
