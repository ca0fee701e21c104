//! `salebridge config check | default | schema`.

use super::Failure;
use crate::config::{self, Secrets};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the configuration and report every fault at once
    Check {
        /// The file to check, instead of the configured one
        file: Option<PathBuf>,
        /// Check the form only: secrets in files and variables are not read
        #[arg(long)]
        no_secrets: bool,
    },
    /// Print a configuration with every key and its default
    Default,
    /// Print the JSON schema of the configuration, for editors
    Schema,
}

pub(super) fn run(path: &Path, command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check { file, no_secrets } => check(file.as_deref().unwrap_or(path), *no_secrets)?,
        Command::Default => anstream::print!("{}", config::default_text()),
        Command::Schema => anstream::println!("{}", serde_json::to_string_pretty(&config::schema())?),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(path: &Path, no_secrets: bool) -> Result<(), Failure> {
    let secrets = if no_secrets { Secrets::Shape } else { Secrets::Read };
    let config = super::read_config(path, secrets)?;
    for warning in config.warnings.iter().chain(&crate::app::settings::not_yet(&config)) {
        anstream::eprintln!("warning: {warning}");
    }
    let count = config.bridges.len();
    anstream::println!("{} is sound: {count} bridge{}.", path.display(), if count == 1 { "" } else { "s" });
    Ok(())
}
