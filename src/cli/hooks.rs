//! `salebridge hooks`: the subscription to amoCRM's webhooks.

use super::Failure;
use crate::app::hooks::{self, Wish};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Have amoCRM post changes to us at once, or complete what it posts
    Install(Arguments),
    /// Whether amoCRM posts to us, and what to do if it does not
    Status(Arguments),
    /// Have amoCRM post no more; polls find every change all the same
    Remove(Arguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
}

pub(super) async fn run(path: &Path, command: &Command) -> Result<ExitCode, Failure> {
    let (wish, arguments) = match command {
        Command::Install(arguments) => (Wish::Install, arguments),
        Command::Status(arguments) => (Wish::Status, arguments),
        Command::Remove(arguments) => (Wish::Remove, arguments),
    };
    let config = super::settings(path)?;
    let told = hooks::carry_out(&config, arguments.bridge.as_deref(), wish).await?;
    for one in &told {
        for line in &one.lines {
            anstream::println!("{}: {line}", one.bridge);
        }
    }
    Ok(if told.iter().all(|one| one.is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
