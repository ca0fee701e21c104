//! `salebridge store copy`: everything from one database to another.

use super::Failure;
use crate::app::copying::{self, CopyProgress};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Copy everything from one database to an empty one, from SQLite to PostgreSQL or back; all of it or nothing
    Copy {
        /// What is copied; no daemon may run on it. Read from the variable SALEBRIDGE_COPY_FROM as well
        #[arg(long, value_name = "URL", env = "SALEBRIDGE_COPY_FROM", hide_env_values = true)]
        from: String,
        /// Where to; it is made, or must be empty. Read from the variable SALEBRIDGE_COPY_TO as well
        #[arg(long, value_name = "URL", env = "SALEBRIDGE_COPY_TO", hide_env_values = true)]
        to: String,
    },
}

pub(super) async fn run(command: &Command) -> Result<ExitCode, Failure> {
    let Command::Copy { from, to } = command;
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}") {
        bar.set_style(style);
    }
    let told = |progress: CopyProgress| {
        bar.set_message(format!("{}: {} of {} rows", progress.table, progress.done, progress.all));
        bar.tick();
    };
    let copied = copying::copy(from, to, told).await?;
    bar.finish_and_clear();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["table", "rows"]);
    for (name, rows) in &copied {
        table.add_row([(*name).to_owned(), rows.to_string()]);
    }
    anstream::println!("{table}\n\nEverything is there, counted on both sides. Set store.url to the new database.");
    Ok(ExitCode::SUCCESS)
}
