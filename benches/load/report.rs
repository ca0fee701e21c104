//! One plain table, and the same figures as JSON.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a figure is held to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// It is told, and held to nothing.
    None,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
struct Row {
    scenario: &'static str,
    what: String,
    measured: f64,
    unit: &'static str,
    target: Target,
}

impl Row {
    fn limit(&self) -> Option<f64> {
        match self.target {
            Target::AtMost(limit) | Target::AtLeast(limit) => Some(limit),
            Target::None => None,
        }
    }

    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(limit) => Some(self.measured <= limit),
            Target::AtLeast(limit) => Some(self.measured >= limit),
            Target::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let sign = if matches!(self.target, Target::AtMost(_)) { "≤" } else { "≥" };
        let target = self.limit().map_or(String::new(), |limit| format!("{sign} {}", figure(limit)));
        let ratio = self.limit().map_or(String::new(), |limit| format!("{:.2}", self.measured / limit));
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let measured = format!("{} {}", figure(self.measured), self.unit);
        [self.scenario.to_owned(), self.what.clone(), measured.trim().to_owned(), target, ratio, met.to_owned()]
    }
}

/// Everything that was measured in one run.
pub struct Report {
    rows: Vec<Row>,
    growth: BTreeMap<&'static str, Vec<Value>>,
    heading: BTreeMap<&'static str, String>,
    full: bool,
}

impl Report {
    /// Nothing yet; notes where and with what it is measured.
    pub fn begin(full: bool) -> Report {
        Report { rows: Vec::new(), growth: BTreeMap::new(), heading: heading(), full }
    }

    /// Adds a figure.
    pub fn add(&mut self, scenario: &'static str, what: impl Into<String>, measured: f64, unit: &'static str) {
        self.held(scenario, what, measured, unit, Target::None);
    }

    /// Adds a figure that is held to something.
    pub fn held(
        &mut self,
        scenario: &'static str,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
        target: Target,
    ) {
        let row = Row { scenario, what: what.into(), measured, unit, target };
        eprintln!("  {}", row.cells()[1..].join(" | "));
        self.rows.push(row);
    }

    /// Adds a point of a curve.
    pub fn point(&mut self, curve: &'static str, point: Value) {
        eprintln!("  {curve}: {point}");
        self.growth.entry(curve).or_default().push(point);
    }

    /// The table, as Markdown that reads as plain text too.
    pub fn table(&self) -> String {
        let titles = ["scenario", "what", "measured", "target", "ratio", ""].map(str::to_owned);
        let cells: Vec<[String; 6]> = std::iter::once(titles).chain(self.rows.iter().map(Row::cells)).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: [usize; 6] = std::array::from_fn(width);
        let mut text = String::from("\n");
        for (name, value) in &self.heading {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push('\n');
        for (number, row) in cells.iter().enumerate() {
            let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            let _ = writeln!(text, "| {} |", padded.collect::<Vec<_>>().join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
            }
        }
        for (curve, points) in &self.growth {
            let _ = writeln!(text, "\n{curve}:");
            points.iter().for_each(|point| {
                let _ = writeln!(text, "  {point}");
            });
        }
        text
    }

    /// Everything as JSON.
    pub fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(|row| json!({ "row": row, "met": row.is_met() })).collect();
        let all = json!({ "heading": self.heading, "full": self.full, "rows": rows, "growth": self.growth });
        format!("{all:#}\n")
    }
}

/// A number with as many digits as say something.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1_000.0 => grouped(value.round() as i64),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    format!("{}{}", if value < 0 { "-" } else { "" }, groups.join(","))
}

/// The machine, the program, and what else was going on.
fn heading() -> BTreeMap<&'static str, String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let memory = read("/proc/meminfo");
    let memory: f64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    BTreeMap::from([
        ("commit", said("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
        ("disk", disk()),
        ("kernel", kernel.trim().to_owned()),
        ("load before", load.join(" ")),
        ("machine", format!("{cores} × {}, {:.0} GiB", processor.map_or("?", |(_, name)| name), memory / 1_048_576.0)),
        ("profile", profile()),
        ("rust", said("rustc", &["--version"])),
    ])
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// What the profile of `cargo bench` was changed to from outside, if it was.
fn profile() -> String {
    let is_changed = |(name, _): &(String, String)| name.starts_with("CARGO_PROFILE_");
    let changed: Vec<String> =
        std::env::vars().filter(is_changed).map(|(name, value)| format!("{name}={value}")).collect();
    if changed.is_empty() { "release, as committed".to_owned() } else { changed.join(" ") }
}

/// The file system of the folder for databases: one in memory syncs nothing.
fn disk() -> String {
    let folder = std::env::temp_dir();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        Some((*fields.get(1)?, *fields.get(2)?))
    });
    let kind = fields.filter(|(at, _)| folder.starts_with(at)).max_by_key(|(at, _)| at.len());
    let kind = kind.map_or("?", |(_, kind)| kind);
    match kind {
        "tmpfs" | "ramfs" => format!("{kind}: NOTHING IS SYNCED HERE, set TMPDIR to a folder on a disk"),
        kind => kind.to_owned(),
    }
}
