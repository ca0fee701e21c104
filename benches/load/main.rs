//! Measures the whole program: the real binary against both sandboxes, each in a process of its own.
//!
//! `cargo bench --bench load` runs the quick scenarios and prints one table. `docs/performance.md` tells the rest.

#![expect(clippy::disallowed_methods, reason = "what is measured is the time on the wall, by nobody's simulation")]

mod backfill;
mod bridges;
mod daemon;
mod gateway;
mod generator;
mod messages;
mod plots;
mod process;
mod report;
mod town;
mod upkeep;
mod webhook;

use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;

/// What a measurement may fail with: anything ends it, and is told.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is asked for on the command line.
#[derive(Debug, Default, Clone)]
struct Wish {
    /// Parts of scenarios' names; all where there is none.
    names: Vec<String>,
    /// The long ones too.
    full: bool,
    /// Where the figures go.
    json: Option<PathBuf>,
}

/// A scenario: its name and what it does.
type Scenario = (&'static str, fn(&Wish, &mut Report) -> Outcome<()>);

const SCENARIOS: [Scenario; 12] = [
    ("webhook", webhook::run),
    ("backfill", backfill::free),
    ("backfill-limit", backfill::limited),
    ("requests", messages::requests),
    ("latency", messages::latency),
    ("start", upkeep::start),
    ("kill", upkeep::kill),
    ("idle", upkeep::idle),
    ("links", upkeep::links),
    ("growth-contacts", backfill::growth),
    ("growth-people", messages::growth),
    ("bridges", bridges::run),
];

const USAGE: &str = "cargo bench --bench load -- [SCENARIO …] [--full] [--json FILE]
cargo bench --bench load -- --plot FILE.json FOLDER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["--role", "town"] => town::serve(),
        ["--role", "generator"] => generator::serve(),
        ["--role", "import"] => backfill::serve(),
        ["--role", "gateway", folder] => gateway::serve(folder),
        ["--plot", figures, folder] => plots::draw(figures.as_ref(), folder.as_ref()),
        _ => wish(&words).and_then(|wish| measure(&wish)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn wish(words: &[&str]) -> Outcome<Wish> {
    let mut wish = Wish::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--full" => wish.full = true,
            "--json" => wish.json = Some(words.next().ok_or(USAGE)?.into()),
            name if SCENARIOS.iter().any(|(known, _)| known.starts_with(name)) => wish.names.push(name.to_owned()),
            other => {
                let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
                return Err(format!("`{other}` is no scenario\n{USAGE}\nscenarios: {}", names.join(", ")).into());
            }
        }
    }
    Ok(wish)
}

/// A scenario that cannot be measured is told of, and the others go on; the end is a failure then.
fn measure(wish: &Wish) -> Outcome<()> {
    let mut report = Report::begin(wish.full);
    let asked = |name: &str| wish.names.is_empty() || wish.names.iter().any(|part| name.starts_with(part.as_str()));
    let mut failed = Vec::new();
    for (name, run) in SCENARIOS.iter().filter(|(name, _)| asked(name)) {
        eprintln!("{name} …");
        if let Err(error) = run(wish, &mut report) {
            eprintln!("{name}: {error}");
            failed.push(*name);
        }
    }
    print!("{}", report.table());
    if let Some(path) = &wish.json {
        std::fs::write(path, report.json())?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failed.join(", ")).into()) }
}
