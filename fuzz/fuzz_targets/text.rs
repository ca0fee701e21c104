//! What people type: phones, addresses, dates, numbers.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::text(bytes));
