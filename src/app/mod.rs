//! Puts everything together. Only this module knows the concrete types behind the ports.

pub mod auth;
pub mod backfill;
pub mod copying;
pub mod daemon;
pub mod dead_letters;
pub mod demo;
pub mod doctor;
pub mod env;
pub mod guest;
pub mod hooks;
pub mod init;
pub mod lifecycle;
pub mod nodes;
pub mod opened;
pub mod post;
pub mod release;
pub mod sandbox;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod token;
pub mod town;
pub mod verdict;
pub mod wire;
