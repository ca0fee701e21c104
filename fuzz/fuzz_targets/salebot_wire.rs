//! An answer of Salebot.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| salebridge_fuzz::salebot_wire(bytes));
