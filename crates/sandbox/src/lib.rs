//! An amoCRM and a Salebot that hold state and misbehave on request.
//!
//! Written from the services' documentation alone, with wire shapes of its own, so that it can
//! disagree with our adapters. Both services are deterministic state machines without I/O
//! ([`http`]); [`server`] puts them on loopback, and [`town`] fills them with people.

pub mod amo;
pub mod faults;
pub mod http;
pub mod salebot;
pub mod server;
pub mod town;
