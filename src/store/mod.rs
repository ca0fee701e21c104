//! The adapters of [`crate::ports::store::Store`]: one contract, several kinds of memory.
//!
//! `tests/it/store_contract.rs` holds every adapter to the same behaviour.

pub mod limits;
pub mod memory;
pub mod sqlite;
