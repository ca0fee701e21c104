//! salebridge keeps an amoCRM account and a Salebot project in step, both ways.
//!
//! In reading order:
//! - [`core`] decides: pure functions from what was seen and remembered to what is to be done.
//! - [`ports`] are what the engine asks of the world: store, the two services, clock.
//! - [`engine`] drives core through the ports: polls, passes, the inbox, the outbox.
//! - [`remote`], [`store`], [`inbound`] are the adapters behind the ports.
//! - [`config`] reads the one configuration file.
//! - [`sandbox`], a package of its own, simulates both services, for trying things out and for tests.
//! - [`app`] puts it together, [`cli`] is what people type.

pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod engine;
pub mod inbound;
pub mod ports;
pub mod remote;
pub mod store;

pub use salebridge_sandbox as sandbox;
