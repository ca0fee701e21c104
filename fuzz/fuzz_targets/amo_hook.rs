//! A body pushed by amoCRM.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::amo_hook(bytes));
