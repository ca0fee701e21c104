//! The records of the account and their rules, apart from how any version of the API writes them.

mod apply;
mod links;
pub(super) mod names;
pub(super) mod news;
pub(super) mod patch;
pub mod records;
pub(super) mod table;
pub mod world;
