#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| offsite_fuzz::read("wire_cbs", bytes));
