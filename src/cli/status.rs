//! `salebridge status`: how every bridge is doing, for people and for programs.

use super::Failure;
use crate::app::status::Source;
use crate::app::verdict::{self, Verdict};
use crate::core::run::Run;
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
    if let Some(runs) = runs(status) {
        text.push_str(&format!("\n{}\n", runs.trim_fmt()));
    }
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
            (false, _) if status["driver"].is_string() => "unheard",
            (false, _) => "stopped",
            (true, _) if bridge["is_known"] == false => "not driven",
            (true, true) => "in step",
            (true, false) => "at work",
        };
        let lane = |lane: &str| lane_word(&bridge["lanes"][lane]["state"]);
        let numbers = ["inbox", "outbox", "dead_letters", "frozen", "links"].map(|key| word(&bridge[key]));
        let ages = ["contacts", "leads"].map(|cursor| read(bridge, cursor));
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

/// When a listing was last read whole. The first one takes as long as it takes: until then it was never.
fn read(bridge: &Value, cursor: &str) -> String {
    match bridge["cursors"][cursor]["age_s"].as_i64() {
        Some(seconds) => format!("{} ago", verdict::duration(seconds)),
        None if verdict::is_under_way(bridge, cursor) => "reading".to_owned(),
        None => "never".to_owned(),
    }
}

/// The run that each bridge is at or was at last; none where there never was one.
fn runs(status: &Value) -> Option<Table> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["BRIDGE", "LAST RUN", "WHAT IT WAS", "BEGUN", "STATE"]);
    for bridge in status["bridges"].as_array().into_iter().flatten() {
        let told = &bridge["run"];
        let Ok(run) = word(&told["name"]).parse::<Run>() else { continue };
        let state = match told["state"].as_str() {
            Some("through") => "through",
            Some("unfinished") => "left unfinished",
            Some("rests") => "waits, and goes on by itself",
            _ => "under way",
        };
        let what =
            if told["dry_run"] == true { format!("{}, dry", run.kind.told()) } else { run.kind.told().to_owned() };
        let begun = told["age_s"].as_i64().map(verdict::duration).unwrap_or_default();
        table.add_row([word(&bridge["name"]), run.to_string(), what, format!("{begun} ago"), state.to_owned()]);
    }
    (!table.is_empty()).then_some(table)
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
            "run": { "name": "20261121-174708-123-backfill", "kind": "backfill", "age_s": 130, "state": "under_way" },
        });
        let told = told(&json!({ "running": true, "bridges": [bridge] }));
        insta::assert_snapshot!(told, @r"
        One thing needs you:
          - shop: 2 messages or changes were given up. See which and why: salebridge dead-letters list

         BRIDGE  STATE    TO READ  TO WRITE  GIVEN UP  FROZEN  PEOPLE  CONTACTS  LEADS      AMOCRM  SALEBOT
         shop    at work        1        23         2       0    4567  4 s ago   6 min ago  works   pauses

         BRIDGE  LAST RUN                      WHAT IT WAS  BEGUN      STATE
         shop    20261121-174708-123-backfill  a backfill   2 min ago  under way

        Worth knowing:
          - shop: Salebot got too many requests; it is asked again in a moment, more slowly.
        ");
    }

    #[test]
    fn a_first_look_that_takes_long_is_no_look_that_never_was() {
        let bridge = |under_way: Value| json!({ "name": "shop", "cursors": {}, "under_way": under_way });
        assert_eq!(read(&bridge(json!(["contacts"])), "contacts"), "reading");
        assert_eq!(read(&bridge(json!([])), "contacts"), "never");
        let told = told(&json!({ "running": true, "bridges": [bridge(json!(["contacts"]))] }));
        assert!(told.contains("contacts of amoCRM are read for the first time"), "{told}");
        assert!(!told.contains("LAST RUN"), "{told}");
    }
}
