//! `salebridge dead-letters`: what will not succeed without a human, and what becomes of it.

use super::{Failure, status::word};
use crate::app::dead_letters::{self, Filter, LetterId, Since};
use crate::app::wire;
use crate::config::Config;
use crate::core::action::{Action, Side};
use anyhow::{Context, anyhow};
use clap::builder::PossibleValuesParser;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// One line each, newest first
    List {
        #[command(flatten)]
        which: Which,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Everything known about one, and what to do
    Show {
        /// As the list shows it: outbox:12
        #[arg(value_name = "ID")]
        id: LetterId,
        /// What people wrote and values too, not only their places
        #[arg(long)]
        values: bool,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Try again, from the first attempt on
    Retry {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Drop for good
    Discard {
        #[command(flatten)]
        chosen: Chosen,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// Given up since then: 2h, 3d, 2025-10-09, 2025-10-09T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// Pushed bodies, or decided writes
    #[arg(long, value_name = "QUEUE", value_parser = ["inbox", "outbox"])]
    queue: Option<String>,
    /// Of this kind: add_note, create_contact … for writes, salebot or amo for bodies
    #[arg(long, value_name = "WHAT", value_parser = kinds())]
    what: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    /// As the list shows them: outbox:12
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<LetterId>,
    /// All that fit the filters
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
}

/// What a dead letter can be: a decided write, or a pushed body by where it came from.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Action::NAMES.into_iter().chain([Side::Salebot, Side::Amo].map(Side::name)))
}

/// The filters as they are typed.
impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.as_ref().map(ToString::to_string);
        let typed = [("bridge", &self.bridge), ("since", &since), ("queue", &self.queue), ("what", &self.what)];
        let words = typed.into_iter().filter_map(|(name, value)| Some(format!("--{name} {}", value.as_ref()?)));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

impl Which {
    fn filter(&self) -> anyhow::Result<Filter> {
        let since = self.since.as_ref().map(|since| since.moment(wire::now())).transpose()?;
        Ok(Filter { bridge: self.bridge.clone(), since, queue: self.queue.clone(), what: self.what.clone() })
    }

    fn is_given(&self) -> bool {
        self.bridge.is_some() || self.since.is_some() || self.queue.is_some() || self.what.is_some()
    }
}

pub(super) async fn run(path: &Path, command: &Command) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let store = wire::read_store(&config).await?;
    let store = store.as_ref();
    match command {
        Command::List { which, json } => {
            let letters = dead_letters::list(&config, store, &which.filter()?).await?;
            if *json {
                print_json(&Value::from(letters))?;
            } else if letters.is_empty() {
                // Whoever filters must not take "none of these" for "none".
                let all = dead_letters::list(&config, store, &Filter::default()).await?.len();
                anstream::println!("{}", none(all, which));
            } else {
                anstream::print!("{}", table(&letters));
            }
        }
        Command::Show { id, values, json } => {
            let letter = dead_letters::show(&config, store, id, *values).await?;
            if *json { print_json(&letter)? } else { anstream::print!("{}", page(&letter)) }
        }
        Command::Retry { chosen } => {
            let ids = chosen.resolve(&config, store).await?;
            let done = dead_letters::retry(&config, store, &ids, wire::now()).await?;
            anstream::println!("{} tried again; a running daemon begins within seconds.", counted(done, "is", "are"));
        }
        Command::Discard { chosen, yes } => {
            let ids = chosen.resolve(&config, store).await?;
            if ids.is_empty() || *yes || confirmed(&ids)? {
                let done = dead_letters::discard(&config, store, &ids, wire::now()).await?;
                anstream::println!("{} discarded.", counted(done, "was", "were"));
            } else {
                anstream::println!("Nothing was discarded.");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Chosen {
    async fn resolve(&self, config: &Config, store: &dyn dead_letters::Store) -> Result<Vec<LetterId>, Failure> {
        if self.all {
            return Ok(dead_letters::matching(config, store, &self.which.filter()?).await?);
        }
        if self.which.is_given() {
            return Err(anyhow!("filters go with --all; the ones named are taken as they are").into());
        }
        // Whoever names one twice means it once.
        let mut ids = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        Ok(ids)
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 dead letter {one}") } else { format!("{count} dead letters {many}") }
}

/// Asks on the terminal; without one, the flag must say it.
fn confirmed(ids: &[LetterId]) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("say --yes to discard without being asked");
    }
    let named: Vec<String> = ids.iter().take(10).map(ToString::to_string).collect();
    let more = if ids.len() > named.len() { " …" } else { "" };
    let question = counted(ids.len(), "is", "are");
    anstream::eprint!("{question} dropped for good ({}{more}). Go on? [y/N] ", named.join(", "));
    std::io::stderr().flush().context("the terminal does not answer")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "д" | "да"))
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    anstream::println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Said where the list is empty, of so many in all bridges.
fn none(all: usize, which: &Which) -> String {
    match all {
        0 => "There are no dead letters.".to_owned(),
        1 => format!("The one dead letter there is does not fit {which}."),
        all => format!("None of the {all} dead letters fits {which}."),
    }
}

fn table(letters: &[Value]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(["id", "bridge", "what", "about", "attempts", "given up", "reason"]);
    for letter in letters {
        let columns = ["id", "bridge", "what", "subject", "attempts", "died_at", "reason"];
        table.add_row(columns.map(|column| word(&letter[column])));
    }
    format!("{table}\n")
}

/// What is shown of one, in this order.
const LINES: [(&str, &str); 15] = [
    ("id", "id"),
    ("bridge", "bridge"),
    ("what", "what"),
    ("subject", "about"),
    ("places", "writes"),
    ("size_bytes", "bytes"),
    ("reason", "reason"),
    ("unreadable", "unreadable"),
    ("attempts", "attempts"),
    ("created_at", "decided or received"),
    ("first_attempt_at", "first attempt"),
    ("last_attempt_at", "last attempt"),
    ("in_doubt", "may have been done"),
    ("content", "content"),
    ("remedy", "what to do"),
];

fn page(letter: &Value) -> String {
    let width = LINES.iter().map(|(_, title)| title.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (key, title) in LINES {
        let value = match &letter[key] {
            Value::Null => continue,
            Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(", "),
            other => word(other),
        };
        text.push_str(&format!("{title:width$}  {value}\n"));
    }
    text
}
