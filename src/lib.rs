//! salebridge keeps an amoCRM account and a Salebot project in step, both ways.

pub mod core;
pub mod ports;
pub mod sandbox;
pub mod store;
