//! Integration tests: one binary, a module for each subject.

#![expect(
    clippy::disallowed_methods,
    reason = "a test owns its runtime, and with it every task it spawns; its clock is the real one"
)]

mod amocrm_adapter;
mod blackbox;
mod docs;
mod functions;
mod guards;
mod hooks;
mod hostile;
mod inbound;
mod inbound_store;
mod postgres;
mod safeguards;
mod salebot_adapter;
mod salebot_contract;
mod salebot_redaction;
mod salebot_server;
mod store_contract;
mod tidy;
mod version;
mod watch;
