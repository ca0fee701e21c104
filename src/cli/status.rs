//! `salebridge status`: how every bridge is doing, for people and for programs.

use super::Failure;
use crate::app::status::Source;
use crate::app::verdict::{self, Verdict};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Look again and again, every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", conflicts_with = "json",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

/// Erases the terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let source = Source::open(&config).await?;
    if arguments.json {
        let status = source.now().await?;
        anstream::println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(ExitCode::SUCCESS);
    }
    let Some(seconds) = arguments.watch else {
        anstream::print!("{}", told(&source.now().await?));
        return Ok(ExitCode::SUCCESS);
    };
    let is_terminal = std::io::stdout().is_terminal();
    loop {
        let text = told(&source.now().await?);
        let shown = if is_terminal { format!("{CLEAR}{text}") } else { format!("{text}\n") };
        let mut out = std::io::stdout();
        // Whoever reads may have seen enough.
        if out.write_all(shown.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
    }
}

/// First whether all is well and what to do if not, then the numbers.
fn told(status: &Value) -> String {
    let Verdict { headline, troubles, notes, .. } = verdict::of(status);
    let mut text = format!("{headline}\n");
    for trouble in troubles {
        text.push_str(&format!("  - {trouble}\n"));
    }
    text.push_str(&format!("\n{}\n", table(status).trim_fmt()));
    if !notes.is_empty() {
        text.push_str("\nWorth knowing:\n");
        for note in notes {
            text.push_str(&format!("  - {note}\n"));
        }
    }
    text
}

/// Numbers of people's work, in columns that say what they count.
fn table(status: &Value) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "BRIDGE", "STATE", "TO READ", "TO WRITE", "GIVEN UP", "FROZEN", "PEOPLE", "CONTACTS", "LEADS", "AMOCRM",
        "SALEBOT",
    ]);
    for column in 2..=6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for bridge in status["bridges"].as_array().into_iter().flatten() {
        let state = match (status["running"] == true, bridge["idle"] == true) {
            (false, _) => "stopped",
            (true, true) => "in step",
            (true, false) => "at work",
        };
        let lane = |lane: &str| lane_word(&bridge["lanes"][lane]["state"]);
        let numbers = ["inbox", "outbox", "dead_letters", "frozen", "links"].map(|key| word(&bridge[key]));
        let ages = ["contacts", "leads"].map(|cursor| age(&bridge["cursors"][cursor]["age_s"]));
        let first = vec![word(&bridge["name"]), state.to_owned()];
        table.add_row([first, numbers.to_vec(), ages.to_vec(), vec![lane("amo"), lane("salebot")]].concat());
    }
    table
}

fn lane_word(state: &Value) -> String {
    match state.as_str() {
        Some("open") => "works",
        Some("paused") => "pauses",
        Some("blocked") => "blocked",
        Some("parked") => "refuses us",
        _ => "–",
    }
    .to_owned()
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn age(seconds: &Value) -> String {
    seconds.as_i64().map_or_else(|| "never".to_owned(), |seconds| format!("{} ago", verdict::duration(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn people_are_told_first_whether_all_is_well() {
        let bridge = json!({
            "name": "shop", "inbox": 1, "outbox": 23, "dead_letters": 2, "frozen": 0, "links": 4567, "idle": false,
            "cursors": { "contacts": { "age_s": 4 }, "leads": { "age_s": 400 } },
            "lanes": { "amo": { "state": "open" }, "salebot": { "state": "paused" } }, "unproven": [], "errors": [],
        });
        let told = told(&json!({ "running": true, "bridges": [bridge] }));
        insta::assert_snapshot!(told, @r"
        One thing needs you:
          - shop: 2 messages or changes were given up. See which and why: salebridge dead-letters list

         BRIDGE  STATE    TO READ  TO WRITE  GIVEN UP  FROZEN  PEOPLE  CONTACTS  LEADS      AMOCRM  SALEBOT
         shop    at work        1        23         2       0    4567  4 s ago   6 min ago  works   pauses

        Worth knowing:
          - shop: Salebot got too many requests; it is asked again in a moment, more slowly.
        ");
    }
}
