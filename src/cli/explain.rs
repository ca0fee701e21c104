//! `salebridge explain`: where a value comes from.

use super::Failure;
use super::verify::shortened;
use crate::app::explain::{self, Asked, Story};
use crate::app::wire;
use crate::core::id::{ClientId, ContactId, LeadId};
use clap::ValueEnum;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// Longest step that is told.
const TOLD_CHARS_MAX: usize = 400;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What kind of record
    #[arg(value_enum)]
    kind: Kind,
    /// Its id
    id: u64,
    /// One field alone: client.position, contact.phone, lead.price, or the end of such a name
    #[arg(value_name = "FIELD")]
    field: Option<String>,
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A contact of amoCRM, with its clients
    Contact,
    /// A client of Salebot, with its contact
    Client,
    /// A lead of amoCRM, with its client
    Lead,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let store = wire::read_store(&config).await?;
    let asked = match arguments.kind {
        Kind::Contact => Asked::Contact(ContactId(arguments.id)),
        Kind::Client => Asked::Client(ClientId(arguments.id)),
        Kind::Lead => Asked::Lead(LeadId(arguments.id)),
    };
    let (bridge, field) = (arguments.bridge.as_deref(), arguments.field.as_deref());
    let stories = explain::explain(&config, store.as_ref(), bridge, asked, field).await?;
    if arguments.json {
        let all: Vec<Value> = stories.iter().map(Story::json).collect();
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        stories.iter().for_each(|story| anstream::print!("{}", told(story)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The story as people read it.
fn told(story: &Story) -> String {
    let mut text = format!("{}: {}\n\n", story.bridge, story.records.join(", "));
    for step in &story.steps {
        let rules = if step.rules.is_empty() { String::new() } else { format!(" [{}]", step.rules.join(", ")) };
        let what: String = step.told.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
        let what: String = what.chars().take(TOLD_CHARS_MAX).collect();
        text.push_str(&format!("{}  {}  {}{rules}: {what}\n", story.moment(step.at), step.record, step.what));
    }
    if !story.seen.is_empty() {
        text.push_str("\nLast seen:\n");
    }
    let value = |content: &Option<Vec<String>>| match content {
        Some(content) => format!("\"{}\"", shortened(&content.join(" | "))),
        None => "never".to_owned(),
    };
    for (record, pair, amo, salebot) in &story.seen {
        text.push_str(&format!("  {record}  {pair}: amoCRM {}, Salebot {}\n", value(amo), value(salebot)));
    }
    text.push_str(&format!("\n{}\n", story.reach));
    text
}
