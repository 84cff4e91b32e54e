#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dagwood_fuzz::templates::run(bytes));
