//! The adapters of [`crate::ports::store::Store`]: one contract, several kinds of memory.
//!
//! `tests/it/store_contract.rs` holds every adapter to the same behaviour.

mod compact;
pub mod copying;
pub mod counters;
pub mod limits;
pub mod memory;
mod migrations;
mod order;
pub mod postgres;
pub mod sqlite;
mod words;

/// Who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A daemon. Applies migrations. An SQLite file is made if needed, and a second daemon refused; of a PostgreSQL
    /// database there may be many.
    Driver,
    /// A command beside the daemon. It reads, and may commit: the two wait for each other. The
    /// database must be there and up to date.
    Shared,
}
