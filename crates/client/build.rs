//! Tells of which OpenSSL the crate is built against.

use std::env;

fn main() {
    // What OpenSSL has only from 3.0 on is used only there.
    println!("cargo::rustc-check-cfg=cfg(openssl3)");
    let version = env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    if u64::from_str_radix(&version, 16).is_ok_and(|version| version >= 0x3000_0000) {
        println!("cargo::rustc-cfg=openssl3");
    }
}
