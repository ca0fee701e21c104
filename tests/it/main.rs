//! Tests through the crate's public doors, over real sockets where there are any.

mod inbound;
mod inbound_store;
mod salebot_adapter;
mod salebot_contract;
mod salebot_redaction;
mod salebot_server;
mod watch;
