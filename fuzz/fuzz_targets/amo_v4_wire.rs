//! An answer of amoCRM's API v4.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::amo_v4_wire(bytes));
