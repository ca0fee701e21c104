//! Tests that need several modules together, or the outside of one. One binary: linking is slow.

mod store_contract;
