//! `salebridge sandbox`: simulated amoCRM and Salebot, for trying a configuration.

use super::Failure;
use crate::app::sandbox::{self, SandboxOptions};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// amoCRM's port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8071, value_name = "PORT")]
    amo_port: u16,
    /// Salebot's port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8072, value_name = "PORT")]
    salebot_port: u16,
    /// How many people may write; there are four contacts for each
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1000))]
    people: u16,
    /// The same number makes the same people
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// What goes wrong with which request, as TOML
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Where Salebot posts messages: http://127.0.0.1:8080/hooks/salebot/BRIDGE/SECRET
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// People write and managers edit now and then
    #[arg(long)]
    chatter: bool,
    /// Seconds an access token lives that OAuth gives
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    token_life: u32,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { amo_port, salebot_port, people, seed, faults, webhook, chatter, token_life } = arguments;
    let people = usize::from(people);
    let token_life_s = i64::from(token_life);
    let options = SandboxOptions { amo_port, salebot_port, people, seed, faults, webhook, chatter, token_life_s };
    sandbox::run(&options).await?;
    Ok(ExitCode::SUCCESS)
}
