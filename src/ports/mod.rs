//! What the engine asks of the world: traits and plain data, no library behind them.

pub mod env;
pub mod function;
pub mod meter;
pub mod remote;
pub mod store;
pub mod watch;
