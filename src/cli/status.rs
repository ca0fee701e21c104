//! `salebridge status`: how every bridge is doing, for people and for programs.

use super::Failure;
use crate::app::{status, wire};
use comfy_table::{Table, presets};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let store = wire::read_store(&config).await?;
    let live = status::ask_daemon(&config).await;
    let status = status::collect(&config, store.as_ref(), live.as_ref(), wire::now()).await?;
    if arguments.json {
        anstream::println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        anstream::print!("{}", table(&status));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(status: &Value) -> String {
    let mut text = String::new();
    if status["running"] != true {
        text.push_str("The daemon does not answer; these are the numbers of its database.\n\n");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "bridge",
        "state",
        "inbox",
        "outbox",
        "dead letters",
        "frozen",
        "links",
        "contacts read",
        "leads read",
        "amoCRM",
        "Salebot",
    ]);
    let (mut errors, mut unproven, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for bridge in status["bridges"].as_array().into_iter().flatten() {
        let name = word(&bridge["name"]);
        let state = if bridge["idle"] == true { "idle" } else { "working" };
        let lane = |lane: &str| word(&bridge["lanes"][lane]["state"]);
        let numbers = ["inbox", "outbox", "dead_letters", "frozen", "links"].map(|key| word(&bridge[key]));
        let ages = ["contacts", "leads"].map(|cursor| age(&bridge["cursors"][cursor]["age_s"]));
        let row =
            [vec![name.clone(), state.to_owned()], numbers.to_vec(), ages.to_vec(), vec![lane("amo"), lane("salebot")]]
                .concat();
        table.add_row(row);
        for interval in bridge["unproven"].as_array().into_iter().flatten() {
            unproven.push(format!("{name}: {} to {}\n", word(&interval["from"]), word(&interval["to"])));
        }
        tokens.extend(bridge["token"]["note"].as_str().map(|note| format!("{name}: {note}\n")));
        for error in bridge["errors"].as_array().into_iter().flatten() {
            errors.push(format!("{name}: {}: {}\n", word(&error["part"]), word(&error["reason"])));
        }
    }
    text.push_str(&table.to_string());
    text.push('\n');
    if !unproven.is_empty() {
        text.push_str("\nMessages written in this time may be missing; the histories in Salebot are still to be looked through:\n");
        text.extend(unproven);
    }
    if !tokens.is_empty() {
        text.push_str("\nThe key to amoCRM:\n");
        text.extend(tokens);
    }
    if !errors.is_empty() {
        text.push_str("\nWhat does not work at the moment:\n");
        text.extend(errors);
    }
    text
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn age(seconds: &Value) -> String {
    match seconds.as_i64() {
        None => "never".to_owned(),
        Some(seconds @ 0..120) => format!("{seconds} s ago"),
        Some(seconds @ 120..7_200) => format!("{} min ago", seconds / 60),
        Some(seconds) => format!("{} h ago", seconds / 3_600),
    }
}
