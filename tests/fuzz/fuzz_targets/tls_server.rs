#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::tls_server::check(bytes));
