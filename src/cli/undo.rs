//! `salebridge undo`: puts back what a backfill or another run changed.

use super::Failure;
use super::verify::shortened;
use crate::app::undo::{self, Standing, Summary, Undo, Wish};
use crate::app::wire;
use crate::core::link::Content;
use crate::core::run::Run;
use crate::core::undo::{LINES_MAX, Line, Progress, What};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// How many looks lie between two lines on how far it is.
const LOOKS_A_LINE: u32 = 10;
/// Most runs that are listed.
const RUNS_MAX: usize = 50;
/// Something was left as it is.
const EXIT_LEFT: u8 = 3;
/// sysexits.h: try again later.
const EXIT_LATER: u8 = 75;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What is undone, as backfill, explain and the list name it; without it the runs are listed
    #[arg(value_name = "RUN")]
    run: Option<Run>,
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// One value alone: client.position, contact.phone, or a pair contact.phone=client.phone
    #[arg(long, value_name = "FIELD", requires = "run")]
    field: Option<String>,
    /// Say what would be put back and what would be left, and write nothing; so it is without --yes, too
    #[arg(long)]
    dry_run: bool,
    /// Do it
    #[arg(long, conflicts_with = "dry_run", requires = "run")]
    yes: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let bridge = arguments.bridge.as_deref();
    let Some(run) = arguments.run else {
        let store = wire::read_store(&config).await?;
        let runs = undo::runs(&config, store.as_ref(), bridge).await?;
        list(&runs, arguments.json)?;
        return Ok(ExitCode::SUCCESS);
    };
    let wish = Wish { run, field: arguments.field.clone(), dry_run: !arguments.yes };
    let undo = Undo::begin(&config, bridge, wish).await?;
    if undo.unwritten > 0 {
        anstream::eprintln!("{} writes of the run still wait; what they change is not told below.", undo.unwritten);
    }
    if undo.goes_on {
        anstream::eprintln!("{}: the undo goes on where it was left.", undo.bridge);
    }
    let ended = watch(&undo).await;
    let standing = undo.standing().await?;
    let overtaken = undo.overtaken().await?;
    if ended.is_err() {
        undo.leave().await?;
    }
    let (bridge, is_of_daemon) = (undo.bridge.clone(), undo.is_of_daemon());
    undo.end().await;
    let Some(progress) = &standing.progress else {
        return Ok(match ended {
            Err(Ended::Lost(why)) => lost(&bridge, &why),
            _ => later(is_of_daemon),
        });
    };
    if arguments.json {
        anstream::println!("{}", serde_json::to_string_pretty(&json_of(&bridge, progress, &standing, &overtaken))?);
    } else {
        anstream::print!("{}", told(&bridge, progress, &standing, &overtaken));
    }
    Ok(match (ended, standing.dead, progress.left() + overtaken.len() as u64) {
        (Err(Ended::Interrupted), _, _) => later(is_of_daemon),
        (Err(Ended::Lost(why)), _, _) => lost(&bridge, &why),
        (Ok(()), 0, 0) => ExitCode::SUCCESS,
        (Ok(()), 0, _) => ExitCode::from(EXIT_LEFT),
        (Ok(()), _, _) => {
            anstream::eprintln!("\nSome writes need a human: salebridge dead-letters list");
            ExitCode::FAILURE
        }
    })
}

fn later(is_of_daemon: bool) -> ExitCode {
    let who = if is_of_daemon { "The daemon stops it after the records it is at" } else { "It is stopped" };
    anstream::eprintln!("\n{who}; what was decided is still written. The same command puts back the rest.");
    ExitCode::from(EXIT_LATER)
}

fn lost(bridge: &str, why: &str) -> ExitCode {
    anstream::eprintln!("\n{bridge}: the undo did not come to its end: {why}");
    ExitCode::FAILURE
}

/// What ended the watch before the undo was over.
enum Ended {
    /// Somebody pressed Ctrl-C, or the service manager asked for the end.
    Interrupted,
    /// It will not come to its end, and why.
    Lost(String),
}

/// Tells how far it is until it is over.
async fn watch(undo: &Undo) -> Result<(), Ended> {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return Err(Ended::Interrupted),
    };
    let mut looks = 0;
    loop {
        match undo.standing().await {
            Ok(standing) if standing.is_over => return Ok(()),
            Ok(Standing { lost: Some(why), .. }) => return Err(Ended::Lost(why)),
            Ok(standing) if looks % LOOKS_A_LINE == LOOKS_A_LINE - 1 => anstream::eprintln!("{}", line_of(&standing)),
            Ok(_) => {}
            Err(error) => anstream::eprintln!("the store cannot be read: {error:#}"),
        }
        looks += 1;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Err(Ended::Interrupted),
            _ = terminate.recv() => return Err(Ended::Interrupted),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn line_of(standing: &Standing) -> String {
    let Some(progress) = &standing.progress else {
        let why = standing.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
        return format!("waits for its turn{why}");
    };
    let why = progress.fault.as_ref().or(standing.fault.as_ref()).map(|fault| format!(", rests: {fault}"));
    let waiting = if standing.waiting > 0 { format!(", {} writes wait", standing.waiting) } else { String::new() };
    format!("{} of {} records{waiting}{}", progress.dealt_with, progress.records, why.unwrap_or_default())
}

fn list(runs: &[Summary], is_json: bool) -> anyhow::Result<()> {
    if is_json {
        let all: Vec<Value> = runs.iter().map(Summary::json).collect();
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if runs.is_empty() {
        anstream::println!("No run has changed a value, as far as the journal reaches.");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["bridge", "run (its time is UTC)", "what it was", "values", "undone by"]);
    for summary in runs.iter().take(RUNS_MAX) {
        let undone: Vec<String> = summary.undone_by.iter().map(Run::to_string).collect();
        let run = summary.run;
        let what = run.kind.told().to_owned();
        table.add_row([summary.bridge.clone(), run.to_string(), what, summary.decided.to_string(), undone.join(" ")]);
    }
    anstream::println!("{table}");
    if runs.len() > RUNS_MAX {
        anstream::println!("{} older runs: --json lists all", runs.len() - RUNS_MAX);
    }
    anstream::println!("\nWhat a run would put back: salebridge undo RUN");
    Ok(())
}

/// What is told of a number of values.
fn meaning(what: What, is_dry: bool) -> &'static str {
    match (what, is_dry) {
        (What::PutBack, true) => "would be put back",
        (What::PutBack, false) => "put back",
        (What::Already, _) => "as before already",
        (What::Edited, _) => "left: edited since",
        (What::Unknown, _) => "left: what stood there before was never read",
        (What::Refused, _) => "left: cannot be put back",
        (What::Gone, _) => "left: the record is gone",
    }
}

fn told(bridge: &str, progress: &Progress, standing: &Standing, overtaken: &[Line]) -> String {
    let request = &progress.request;
    let mut text = format!("{bridge}: run {}, {}\n\n", request.run, request.run.kind.told());
    let lines = progress.lines.iter().chain(overtaken);
    lines.for_each(|line| text.push_str(&row(line, request.dry_run)));
    if progress.lines.len() >= LINES_MAX {
        text.push_str(&format!("  … the first {LINES_MAX} values; all are counted below\n"));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["values", ""]);
    let mut number = |count: u64, what: &str| {
        if count > 0 {
            table.add_row([count.to_string(), what.to_owned()]);
        }
    };
    let late = overtaken.len() as u64;
    for what in What::ALL {
        let count = match what {
            What::PutBack => progress.count(what).saturating_sub(late),
            What::Edited => progress.count(what) + late,
            _ => progress.count(what),
        };
        number(count, meaning(what, request.dry_run));
    }
    number(progress.cleared, "of those put back: emptied, as they were empty before");
    number(standing.dead, "writes were given up");
    text.push_str(&format!("\n{table}\n"));
    let field = request.field.as_ref().map(|field| format!(" --field '{field}'")).unwrap_or_default();
    match (request.dry_run, progress.count(What::PutBack)) {
        (_, 0) => text.push_str("\nThere is nothing to put back.\n"),
        (true, _) => {
            text.push_str(&format!("\nNothing was written. To do it: salebridge undo {}{field} --yes\n", request.run))
        }
        (false, _) => {
            text.push_str(&format!("\nThis was run {}; it can be undone in the same way.\n", request.own_run()))
        }
    }
    text
}

fn row(line: &Line, is_dry: bool) -> String {
    let value = |content: &Content| format!("\"{}\"", shortened(&content.join(" | ")));
    let (target, place) = (line.target, &line.place);
    let now = line.now.as_ref().map_or_else(|| "?".to_owned(), value);
    let what = match line.what {
        What::PutBack => {
            let before = line.before.as_ref().map(value).unwrap_or_default();
            let verb = if is_dry { "would be put back" } else { "is put back" };
            format!("{now} → {before} {verb}")
        }
        What::Already => format!("{now} is as before already"),
        _ => format!("{now} is left: {}; the run wrote {}", line.told, value(&line.after)),
    };
    format!("  {target}  {place}: {what}\n")
}

fn json_of(bridge: &str, progress: &Progress, standing: &Standing, overtaken: &[Line]) -> Value {
    let lines: Vec<Value> = progress.lines.iter().chain(overtaken).map(line_json).collect();
    let counts: serde_json::Map<String, Value> =
        What::ALL.iter().map(|what| (what.name().to_owned(), json!(progress.count(*what)))).collect();
    let own = (!progress.request.dry_run).then(|| progress.request.own_run());
    json!({
        "bridge": bridge, "run": progress.request.run, "dry_run": progress.request.dry_run, "undo": own,
        "records": progress.records, "counts": counts, "overtaken": overtaken.len(), "dead": standing.dead,
        "values": lines,
    })
}

fn line_json(line: &Line) -> Value {
    json!({
        "record": line.target.to_string(), "value": line.place, "pair": line.rule, "what": line.what.name(),
        "why": line.told, "before": line.before, "run_wrote": line.after, "now": line.now,
    })
}
