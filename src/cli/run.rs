//! `salebridge run`: the daemon.

use super::Failure;
use crate::app::{lifecycle, telemetry};
use std::path::Path;
use std::process::ExitCode;

pub(super) async fn run(path: &Path) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    telemetry::start(&config.log);
    lifecycle::run(&config).await?;
    Ok(ExitCode::SUCCESS)
}
