//! `salebridge release`: lets go what guards hold back.

use super::Failure;
use crate::app::{release, wire};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// Say what would be released, and release nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let store = wire::read_store(&config).await?;
    let held = release::held(&config, store.as_ref(), arguments.bridge.as_deref()).await?;
    if held.is_empty() {
        anstream::println!("Nothing is held back.");
        return Ok(ExitCode::SUCCESS);
    }
    for bridge in &held {
        for line in &bridge.lines {
            anstream::println!("{}: {line}", bridge.bridge);
        }
    }
    if arguments.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    for bridge in &held {
        release::ask(store.as_ref(), &bridge.bridge, wire::now()).await?;
    }
    anstream::println!("\nReleased: a running daemon goes on within seconds, another one when it starts.");
    Ok(ExitCode::SUCCESS)
}
