//! `salebridge migrate`: the database in this version's form.

use super::Failure;
use crate::app::wire;
use std::path::Path;
use std::process::ExitCode;

pub(super) async fn run(path: &Path) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    wire::migrate(&config).await?;
    anstream::println!("The database is up to date.");
    Ok(ExitCode::SUCCESS)
}
