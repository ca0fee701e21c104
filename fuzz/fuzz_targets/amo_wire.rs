//! An answer of amoCRM's API v2.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::amo_wire(bytes));
