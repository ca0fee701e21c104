//! salebridge keeps an amoCRM account and a Salebot project in step, both ways.

pub mod config;
pub mod core;
pub mod engine;
pub mod inbound;
pub mod ports;
pub mod remote;
pub mod sandbox;
