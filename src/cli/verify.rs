//! `salebridge verify`: do both sides agree, and if not, why not.

use super::Failure;
use crate::app::dead_letters::bridges;
use crate::app::inspect::{self, Ended, Reader};
use crate::app::verify::{self, Cause, Difference, Report};
use crate::app::wire;
use crate::core::text;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// sysexits.h: try again later.
pub(super) const EXIT_LATER: u8 = 75;
/// Both services were asked, and they differ.
const EXIT_DIFFERENCES: u8 = 3;
/// Longest value in a table.
const VALUE_CHARS_MAX: usize = 60;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this bridge alone
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// Look at so many people and leads, spread evenly, instead of at all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = super::settings(path)?;
    let chosen = bridges(&config, arguments.bridge.as_deref())?;
    let store = wire::read_store(&config).await?;
    let is_driven = inspect::is_driven(&config).await;
    let mut reports = Vec::new();
    for settings in config.bridges.iter().filter(|bridge| chosen.contains(&bridge.name.as_str())) {
        let report = match Reader::open(settings, &store, is_driven).await {
            Ok(reader) => {
                let mut shown = Shown::new(&settings.name);
                let report = verify::look(&reader, arguments.sample, &mut |at, of| shown.show(at, of)).await;
                shown.bar.finish_and_clear();
                report?
            }
            Err(Ended::Later(reason)) => Report { stopped: Some(reason), ..Report::default() },
            Err(Ended::Failed(error)) => return Err(Failure::Other(error)),
        };
        reports.push((settings.name.clone(), report));
    }
    if arguments.json {
        let all: Vec<Value> = reports.iter().map(|(name, report)| report.json(name)).collect();
        anstream::println!("{}", serde_json::to_string_pretty(&json!({ "bridges": all }))?);
    } else {
        reports.iter().for_each(|(name, report)| anstream::print!("{}", told(name, report)));
    }
    Ok(match () {
        () if reports.iter().any(|(_, report)| report.is_partial()) => ExitCode::from(EXIT_LATER),
        () if reports.iter().any(|(_, report)| report.differing() > 0) => ExitCode::from(EXIT_DIFFERENCES),
        () => ExitCode::SUCCESS,
    })
}

/// How far it is, on a terminal alone.
struct Shown {
    bar: ProgressBar,
}

impl Shown {
    fn new(bridge: &str) -> Shown {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} records, {eta} left") {
            bar.set_style(style);
        }
        bar.set_prefix(bridge.to_owned());
        Shown { bar }
    }

    fn show(&mut self, at: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(at);
    }
}

/// The report as people read it.
fn told(name: &str, report: &Report) -> String {
    let mut text = String::new();
    if !report.differences.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["RECORD", "WITH", "PAIR", "CAUSE", "AMOCRM", "SALEBOT", "WHY"]);
        report.differences.iter().for_each(|difference| {
            table.add_row(row(difference));
        });
        text.push_str(&format!("{}\n\n", table.trim_fmt()));
    }
    let Report { people, leads, pairs, .. } = report;
    text.push_str(&format!(
        "{name}: {people} people and {leads} leads were looked at, {pairs} pairs of values compared.\n"
    ));
    for cause in Cause::ALL {
        if let Some(count) = report.counts.get(&cause) {
            text.push_str(&format!("{name}: {count} {} - {}.\n", cause.name(), cause.meaning()));
        }
    }
    if let Some(reason) = &report.stopped {
        text.push_str(&format!("{name}: it was not finished: {reason}. Run it again when that is better.\n"));
    } else if report.counts.is_empty() {
        text.push_str(&format!("{name}: both sides agree.\n"));
    }
    text
}

fn row(difference: &Difference) -> [String; 7] {
    let value = |content: &[String]| shortened(&content.join(" | "));
    let salebot = difference.salebot.as_deref().map_or_else(|| "–".to_owned(), value);
    [
        difference.record.clone(),
        difference.with.clone(),
        difference.pair.clone(),
        difference.cause.name().to_owned(),
        value(&difference.amo),
        salebot,
        difference.told.clone(),
    ]
}

/// As much of a value as a line holds.
pub(super) fn shortened(text: &str) -> String {
    text::one_line(text, VALUE_CHARS_MAX)
}
