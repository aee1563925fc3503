#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::written_requests::check(bytes));
