//! Integration tests: one binary, a module for each subject.

mod amocrm_adapter;
mod inbound;
mod inbound_store;
mod salebot_adapter;
mod salebot_redaction;
mod salebot_server;
mod watch;
