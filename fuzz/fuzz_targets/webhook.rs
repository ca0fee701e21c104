//! A body pushed by Salebot.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::webhook(bytes));
