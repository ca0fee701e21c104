//! Integration tests: one binary, a module for each subject.

#![expect(
    clippy::disallowed_methods,
    reason = "a test owns its runtime, and with it every task it spawns; its clock is the real one"
)]

mod amocrm_adapter;
mod inbound;
mod inbound_store;
mod salebot_adapter;
mod salebot_contract;
mod salebot_redaction;
mod salebot_server;
mod tidy;
mod watch;
//! Tests that need several modules together, or the outside of one. One binary: linking is slow.

mod store_contract;
