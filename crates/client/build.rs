//! Sets `cfg(openssl3)` if the crate is built against OpenSSL 3.0 or later.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(openssl3)");
    let version = env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    if u64::from_str_radix(&version, 16).is_ok_and(|version| version >= 0x3000_0000) {
        println!("cargo::rustc-cfg=openssl3");
    }
}
