//! `salebridge demo`: both services simulated, the daemon between them, and a verdict.

use super::Failure;
use crate::app::demo::{self, DemoOptions};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The same number tells the same story
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How many people write
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u16).range(10..=1000))]
    people: u16,
    /// Keep configuration, database and log in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { seed, people, keep } = arguments;
    let holds = demo::run(&DemoOptions { seed, people: people.into(), keep }).await?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
