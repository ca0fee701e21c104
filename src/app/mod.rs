//! Puts everything together. Only this module knows the concrete types behind the ports.

pub mod auth;
pub mod backfill;
pub mod daemon;
pub mod dead_letters;
pub mod demo;
pub mod doctor;
pub mod env;
pub mod explain;
pub mod hooks;
pub mod init;
pub mod inspect;
pub mod lifecycle;
pub mod plan;
pub mod release;
pub mod sandbox;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod token;
pub mod town;
pub mod verdict;
pub mod verify;
pub mod wire;
