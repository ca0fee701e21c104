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
    /// How many people may write; there are four contacts for each, unless --contacts says otherwise
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(..=20_000))]
    people: u16,
    /// How many contacts amoCRM has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    contacts: Option<u32>,
    /// Everybody has written to the bots before
    #[arg(long)]
    entered: bool,
    /// amoCRM takes any number of requests, for measuring
    #[arg(long)]
    unlimited: bool,
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
    let options = SandboxOptions {
        amo_port: arguments.amo_port,
        salebot_port: arguments.salebot_port,
        people: usize::from(arguments.people),
        contacts: arguments.contacts.map(|contacts| contacts as usize),
        entered: arguments.entered,
        unlimited: arguments.unlimited,
        seed: arguments.seed,
        faults: arguments.faults,
        webhook: arguments.webhook,
        chatter: arguments.chatter,
        token_life_s: i64::from(arguments.token_life),
    };
    sandbox::run(&options).await?;
    Ok(ExitCode::SUCCESS)
}
