//! Sets `cfg(openssl3)` if the crate is built against OpenSSL 3, and refuses versions whose interface the code does not
//! know (`src/os/libssl`).

use std::env;

/// OpenSSL 1.1.1, the first version with TLS 1.3.
const FIRST: u64 = 0x1010_1000;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(openssl3)");
    let version = env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    match u64::from_str_radix(&version, 16) {
        Ok(0x3000_0000..0x4000_0000) => println!("cargo::rustc-cfg=openssl3"),
        Ok(FIRST..0x3000_0000) => {}
        Ok(_) => println!("cargo::error=OpenSSL 1.1.1 or 3 is needed, and this is version 0x{version}"),
        Err(_) => println!("cargo::error=OpenSSL 1.1.1 or 3 is needed, and this is another library of TLS"),
    }
}
