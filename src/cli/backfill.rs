//! `salebridge backfill`: a first import, or a repair, of everything or of a part.

use super::Failure;
use crate::app::backfill::{Backfills, Standing, Wish};
use crate::app::dead_letters::Since;
use crate::app::wire;
use crate::core::backfill::{Part, Progress};
use crate::core::time::Millis;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// How often a line is printed where no bar can be drawn.
const LINE_MS: i64 = 5_000;
/// sysexits.h: try again later.
const EXIT_LATER: u8 = 75;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// Only these
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<What>,
    /// Only what changed since: 2h, 3d, 2025-10-09, 2025-10-09T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only what changed until then
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// Say what would be written, with a sample of values, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// From the beginning, even if the same was left unfinished
    #[arg(long)]
    restart: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// amoCRM's contacts, with their clients
    Contacts,
    /// amoCRM's leads, with their orders
    Leads,
    /// Salebot's clients: those without a contact find or get one
    Clients,
}

impl From<What> for Part {
    fn from(what: What) -> Part {
        match what {
            What::Contacts => Part::Contacts,
            What::Leads => Part::Leads,
            What::Clients => Part::Clients,
        }
    }
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let moment = |since: &Option<Since>| since.as_ref().map(|since| since.moment(wire::now())).transpose();
    let only: BTreeSet<Part> = arguments.only.iter().copied().map(Part::from).collect();
    let wish = Wish {
        bridge: arguments.bridge.clone(),
        parts: if only.is_empty() { Part::ALL.into() } else { only },
        since: moment(&arguments.since)?,
        until: moment(&arguments.until)?,
        dry_run: arguments.dry_run,
        restart: arguments.restart,
    };
    let (backfills, asked) = Backfills::begin(&config, &wish).await?;
    for (bridge, _) in asked.iter().filter(|(_, goes_on)| *goes_on) {
        anstream::eprintln!("{bridge}: the backfill goes on where it was left; --restart begins anew.");
    }
    let ended = watch(&backfills).await;
    let standings = backfills.standings().await?;
    let requests = backfills.requests();
    let is_of_daemon = backfills.is_of_daemon();
    if ended.is_err() {
        backfills.leave().await?;
    }
    backfills.end().await;
    anstream::print!("{}", closing(&standings, requests));
    match ended {
        Ok(()) if standings.iter().all(|standing| standing.dead_letters == 0) => Ok(ExitCode::SUCCESS),
        Ok(()) => {
            anstream::eprintln!("\nSome writes need a human: salebridge dead-letters list");
            Ok(ExitCode::FAILURE)
        }
        Err(Interrupted) => {
            let who = if is_of_daemon { "The daemon stops it after the page it is at" } else { "It is stopped" };
            anstream::eprintln!("\n{who}. The same command goes on from there.");
            Ok(ExitCode::from(EXIT_LATER))
        }
    }
}

/// Somebody pressed Ctrl-C, or the service manager asked for the end.
struct Interrupted;

/// Shows how far it is until it is over.
async fn watch(backfills: &Backfills) -> Result<(), Interrupted> {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return Err(Interrupted),
    };
    let mut shown = Shown::new();
    loop {
        match backfills.standings().await {
            Ok(standings) => {
                shown.show(&standings, backfills.requests());
                if standings.iter().all(|standing| standing.is_over) {
                    shown.bar.finish_and_clear();
                    return Ok(());
                }
            }
            Err(error) => shown.say(&format!("the store cannot be read: {error:#}")),
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Err(Interrupted),
            _ = terminate.recv() => return Err(Interrupted),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// A line that is drawn again on a terminal; lines now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    is_terminal: bool,
    began: Millis,
    first_rows: Option<u64>,
    told_at: Option<Millis>,
}

impl Shown {
    fn new() -> Shown {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}") {
            bar.set_style(style);
        }
        Shown { bar, is_terminal, began: wire::now(), first_rows: None, told_at: None }
    }

    fn show(&mut self, standings: &[Standing], requests: Option<(u64, u64)>) {
        let rows = standings.iter().filter_map(|standing| standing.progress.as_ref()).map(rows_of).sum::<u64>();
        let first_rows = *self.first_rows.get_or_insert(rows);
        let seconds = wire::now().since(self.began).max(1) as f64 / 1000.0;
        let rate = rows.saturating_sub(first_rows) as f64 / seconds;
        let bridges: Vec<String> = standings.iter().map(line_of).collect();
        let requests = requests.map(|(sent, throttled)| format!("; {sent} requests, {throttled} times 429"));
        let line = format!("{} ({rate:.0} rows/s{})", bridges.join(" | "), requests.unwrap_or_default());
        self.say(&line);
    }

    fn say(&mut self, line: &str) {
        if self.is_terminal {
            self.bar.set_message(line.to_owned());
            self.bar.tick();
        } else if self.told_at.is_none_or(|at| wire::now().since(at) >= LINE_MS) {
            self.told_at = Some(wire::now());
            anstream::eprintln!("{line}");
        }
    }
}

fn rows_of(progress: &Progress) -> u64 {
    progress.looked_at.values().sum()
}

fn line_of(standing: &Standing) -> String {
    let Some(progress) = &standing.progress else {
        let why = standing.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
        return format!("{}: waits for its turn{why}", standing.bridge);
    };
    let at = match (progress.part(), standing.is_over) {
        (Some(part), _) => part.name(),
        (None, false) => "writing",
        (None, true) => "done",
    };
    let why = progress.fault.as_ref().or(standing.fault.as_ref()).map(|fault| format!(", rests: {fault}"));
    let waiting = if standing.outbox > 0 { format!(", {} writes wait", standing.outbox) } else { String::new() };
    format!("{}: {at}, {} rows{waiting}{}", standing.bridge, rows_of(progress), why.unwrap_or_default())
}

/// What it came to.
fn closing(standings: &[Standing], requests: Option<(u64, u64)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["bridge", "what", "count"]);
    let mut samples = String::new();
    for standing in standings {
        let Some(progress) = &standing.progress else { continue };
        let mut row = |what: &str, count: u64| {
            if count == 0 && !what.ends_with("looked at") {
                return;
            }
            table.add_row([standing.bridge.clone(), what.to_owned(), count.to_string()]);
        };
        let will = if progress.request.dry_run { "would be planned" } else { "planned" };
        progress.looked_at.iter().for_each(|(part, rows)| row(&format!("{} looked at", part.name()), *rows));
        row("clients and contacts found to belong together", progress.linked);
        progress.planned.iter().for_each(|(action, count)| row(&format!("{action} {will}"), *count));
        row("values cleared", progress.cleared);
        row("values that lost to another", progress.conflicts);
        row("records put off, to be looked at again", progress.put_off);
        if !progress.request.dry_run {
            row("writes still waiting", standing.outbox);
            row("dead letters", standing.dead_letters);
        }
        progress.sample.iter().for_each(|line| samples.push_str(&format!("  {}: {line}\n", standing.bridge)));
    }
    let requests = requests.map(|(sent, throttled)| format!("{sent} requests, {throttled} answers 429\n"));
    let sample = if samples.is_empty() { String::new() } else { format!("\nFor example:\n{samples}") };
    format!("{table}\n{}{sample}", requests.unwrap_or_default())
}
