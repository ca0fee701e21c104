//! A template of a note or a callback.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::template(bytes));
