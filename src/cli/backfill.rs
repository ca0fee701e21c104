//! `salebridge backfill`: a first import, or a repair, of everything or of a part.

use super::Failure;
use crate::app::backfill::{Backfills, Begun, Standing, Wish};
use crate::app::dead_letters::Since;
use crate::app::driven::with_remedy;
use crate::app::wire;
use crate::core::backfill::{Part, Progress};
use crate::core::estimate::{self, Pace};
use crate::core::time::Millis;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(500);
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
    /// From the beginning, in place of whatever is unfinished
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

impl Arguments {
    fn wish(&self) -> anyhow::Result<Wish> {
        let now = wire::now();
        let moment = |since: &Option<Since>| since.as_ref().map(|since| since.moment(now)).transpose();
        let span = |since: &Option<Since>| since.as_ref().and_then(Since::span);
        let only: BTreeSet<Part> = self.only.iter().copied().map(Part::from).collect();
        Ok(Wish {
            bridge: self.bridge.clone(),
            parts: if only.is_empty() { Part::ALL.into() } else { only },
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            since_span: span(&self.since),
            until_span: span(&self.until),
            dry_run: self.dry_run,
            restart: self.restart,
        })
    }
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let wish = arguments.wish()?;
    if wish.since.zip(wish.until).is_some_and(|(since, until)| since > until) {
        return super::misused("backfill", "--until lies before --since: nothing can have changed between them");
    }
    let config = super::settings(path)?;
    let (backfills, asked) = Backfills::begin(&config, &wish).await?;
    for (bridge, begun) in &asked {
        match begun {
            Begun::Anew => {}
            Begun::Joined => {
                anstream::eprintln!(
                    "{bridge}: the daemon is at it already, and this tells how far it is; --restart begins anew."
                )
            }
            Begun::GoesOn => {
                anstream::eprintln!("{bridge}: the backfill goes on where it was left; --restart begins anew.")
            }
        }
    }
    let ended = watch(&backfills).await;
    let standings = backfills.ended().await?;
    let requests = backfills.requests(&standings);
    let undoable = backfills.undoable().await?;
    let is_of_daemon = backfills.is_of_daemon();
    if ended.is_err() {
        backfills.leave().await?;
    }
    backfills.end().await;
    anstream::print!("{}", closing(&standings, &undoable, requests, is_of_daemon));
    for standing in &standings {
        if let Some(why) = &standing.lost {
            anstream::eprintln!("\n{}: the backfill did not come to its end: {why}", standing.bridge);
        }
    }
    match ended {
        Ok(()) if standings.iter().any(|standing| standing.lost.is_some()) => Ok(ExitCode::FAILURE),
        Ok(()) if standings.iter().all(|standing| standing.dead_letters == 0) => Ok(ExitCode::SUCCESS),
        Ok(()) => {
            anstream::eprintln!("\nSome writes need a human: salebridge dead-letters list");
            Ok(ExitCode::FAILURE)
        }
        Err(Interrupted) => {
            anstream::eprintln!("\n{}", left(is_of_daemon, wish.dry_run));
            Ok(ExitCode::from(EXIT_LATER))
        }
    }
}

/// What becomes of one that was interrupted.
fn left(is_of_daemon: bool, is_dry: bool) -> String {
    let who = if is_of_daemon { "The daemon stops it after the page it is at" } else { "It is stopped" };
    let then = match is_dry {
        false => "The same command goes on from there.",
        true => "A dry run remembers nothing: the same command begins anew.",
    };
    format!("{who}. {then}")
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
                shown.show(&standings, backfills.requests(&standings));
                if standings.iter().all(|standing| standing.is_over || standing.lost.is_some()) {
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
    has_length: bool,
    paces: BTreeMap<String, Pace>,
    told_at: Option<Millis>,
}

/// While nobody knows how much there is, and once somebody does.
const SPINNER: &str = "{spinner} {elapsed_precise} {wide_msg}";
const BAR: &str = "{spinner} {elapsed_precise} [{bar:24}] {wide_msg}";

impl Shown {
    fn new() -> Shown {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template(SPINNER) {
            bar.set_style(style);
        }
        Shown { bar, is_terminal, has_length: false, paces: BTreeMap::new(), told_at: None }
    }

    fn show(&mut self, standings: &[Standing], (sent, throttled): (u64, u64)) {
        let bridges: Vec<String> = standings
            .iter()
            .map(|standing| {
                let pace = self.paces.entry(standing.bridge.clone()).or_default();
                if let Some((part, progress)) = current(standing) {
                    pace.saw(wire::now(), progress.rows(part));
                }
                line_of(standing, pace)
            })
            .collect();
        if self.is_terminal {
            self.draw(standings);
        }
        self.say(&format!("{}; {sent} requests, {throttled} times 429", bridges.join(" | ")));
    }

    /// A bar where all lengths are known, else none.
    fn draw(&mut self, standings: &[Standing]) {
        let parts = || standings.iter().filter_map(current);
        let known: Option<u64> = parts().map(|(_, progress)| progress.about()).sum();
        let known = known.filter(|length| *length > 0);
        if known.is_some() != self.has_length
            && let Ok(style) = ProgressStyle::with_template(if known.is_some() { BAR } else { SPINNER })
        {
            self.has_length = known.is_some();
            self.bar.set_style(style);
        }
        if let Some(length) = known {
            self.bar.set_length(length);
            self.bar.set_position(parts().map(|(part, progress)| progress.rows(part)).sum());
        }
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

/// The part that is being looked at.
fn current(standing: &Standing) -> Option<(Part, &Progress)> {
    let progress = standing.progress.as_ref()?;
    Some((progress.part()?, progress))
}

/// How far a bridge is: `shop: contacts, 12500 of about 100000 rows, 41 rows/s, about 35 min left, then leads, clients`.
fn line_of(standing: &Standing, pace: &Pace) -> String {
    let Some(progress) = &standing.progress else {
        let why = standing.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
        return format!("{}: waits for its first page{why}", standing.bridge);
    };
    let at = match (progress.part(), standing.is_over) {
        (Some(part), _) => far(progress, part, pace),
        (None, over) => {
            let rows: u64 = progress.looked_at.values().sum();
            format!("{}, {rows} rows", if over { "done" } else { "writing" })
        }
    };
    let rests = progress.fault.as_ref().map(|fault| format!(", rests: {}", with_remedy(fault, &standing.bridge)));
    // A part that does not work need not hold up the others.
    let why = rests.or_else(|| standing.fault.as_ref().map(|fault| format!(", in trouble: {fault}")));
    let waiting = if standing.outbox > 0 { format!(", {} writes wait", standing.outbox) } else { String::new() };
    format!("{}: {at}{waiting}{}", standing.bridge, why.unwrap_or_default())
}

/// Where it is in a part, how fast, and for how long still. The end of a part that nobody has counted is not known.
fn far(progress: &Progress, part: Part, pace: &Pace) -> String {
    let rows = progress.rows(part);
    let rate = pace.per_second().map(|rate| format!(", {rate:.0} rows/s")).unwrap_or_default();
    let of = progress.about().map(|about| format!(" of about {about}")).unwrap_or_default();
    let left = match progress.about() {
        None => ", time left unknown".to_owned(),
        Some(about) => {
            let left = pace.left_ms(about.saturating_sub(rows));
            left.map(|left| format!(", about {} left", estimate::told(left))).unwrap_or_default()
        }
    };
    let then: Vec<&str> = Part::ALL
        .into_iter()
        .filter(|next| *next > part && progress.request.parts.contains(next) && !progress.through.contains(next))
        .map(Part::name)
        .collect();
    let then = if then.is_empty() { String::new() } else { format!(", then {}", then.join(", ")) };
    format!("{}, {rows}{of} rows{rate}{left}{then}", part.name())
}

/// How what it changed is put back.
fn way_back(bridge: &str, progress: &Progress, is_undoable: bool) -> Option<String> {
    match (progress.request.dry_run, is_undoable) {
        (true, _) => None,
        (false, true) => {
            Some(format!("To put back what it changed in {bridge}: salebridge undo {}\n", progress.request.run()))
        }
        // Others may have been faster: a poll, or who wrote meanwhile.
        (false, false) => progress
            .changes_values()
            .then(|| format!("It changed no value of {bridge} itself; salebridge undo lists the runs that did.\n")),
    }
}

/// What was given up before it or beside it: worth a word, and no failure of this one.
fn letters_of_others(standing: &Standing) -> Option<String> {
    let count = standing.all_dead_letters.saturating_sub(standing.dead_letters);
    let told = format!("{}: {count} dead letters of other work: salebridge dead-letters list\n", standing.bridge);
    (count > 0).then_some(told)
}

/// What it came to.
fn closing(
    standings: &[Standing],
    undoable: &BTreeSet<String>,
    (sent, throttled): (u64, u64),
    is_of_daemon: bool,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["bridge", "what", "count"]);
    let (mut samples, mut runs, mut troubles) = (String::new(), String::new(), String::new());
    for standing in standings {
        let rests = standing.progress.as_ref().and_then(|progress| progress.fault.as_ref());
        let rests = rests.map(|fault| with_remedy(fault, &standing.bridge));
        if let Some(trouble) = rests.as_ref().or(standing.fault.as_ref()) {
            troubles.push_str(&format!("Not all of {} works: {trouble}\n", standing.bridge));
        }
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
        runs.extend(way_back(&standing.bridge, progress, undoable.contains(&standing.bridge)));
        runs.extend(letters_of_others(standing));
        if progress.request.dry_run && progress.linked > 0 {
            runs.push_str("Orders of those who would be found to belong together come on top.\n");
        }
        progress.sample.iter().for_each(|line| samples.push_str(&format!("  {}: {line}\n", standing.bridge)));
    }
    // The daemon tells with each page; what it wrote behind the last one is its everyday work.
    let until = if is_of_daemon { " until everything was read" } else { "" };
    let requests = format!("{sent} requests, {throttled} answers 429{until}\n");
    let sample = if samples.is_empty() { String::new() } else { format!("\nFor example:\n{samples}") };
    format!("{table}\n{requests}{troubles}{runs}{sample}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::backfill::Request;

    /// A bridge in the middle of its contacts, of which so many are known to be there.
    fn standing(rows: u64, known: Option<u64>, part: Part) -> Standing {
        let request = Request {
            asked_at: Millis(1),
            parts: Part::ALL.into(),
            since: None,
            until: None,
            since_span: None,
            until_span: None,
            dry_run: false,
        };
        let mut progress = Progress::new(request, Millis(1));
        Part::ALL.into_iter().filter(|before| *before < part).for_each(|before| progress.page(before, 1, None));
        progress.known.extend(known.map(|known| (part, known)));
        progress.page(part, rows, Some(5));
        Standing {
            bridge: "shop".to_owned(),
            progress: Some(progress),
            outbox: 0,
            is_over: false,
            dead_letters: 0,
            all_dead_letters: 0,
            fault: None,
            lost: None,
        }
    }

    fn pace() -> Pace {
        let mut pace = Pace::default();
        (0..30).for_each(|second| pace.saw(Millis(second * 1_000), second.unsigned_abs() * 40));
        pace
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_for_how_long() {
        let line = line_of(&standing(12_400, Some(100_000), Part::Contacts), &pace());
        assert_eq!(
            line,
            "shop: contacts, 12400 of about 100000 rows, 40 rows/s, about 36 min left, then leads, clients"
        );
    }

    #[test]
    fn what_nobody_can_tell_is_not_told() {
        let line = line_of(&standing(12_400, None, Part::Contacts), &pace());
        assert_eq!(line, "shop: contacts, 12400 rows, 40 rows/s, time left unknown, then leads, clients");
        // More rows came than there were the last time: then that number is worth nothing.
        let line = line_of(&standing(500, Some(400), Part::Clients), &Pace::default());
        assert_eq!(line, "shop: clients, 500 rows, time left unknown");
    }

    #[test]
    fn a_request_that_fails_is_named_and_the_rest_stands() {
        let mut standing = standing(10, Some(20), Part::Leads);
        (standing.outbox, standing.fault) = (7, Some("amoCRM is away".to_owned()));
        let line = line_of(&standing, &Pace::default());
        assert_eq!(line, "shop: leads, 10 of about 20 rows, then clients, 7 writes wait, in trouble: amoCRM is away");
        if let Some(progress) = &mut standing.progress {
            progress.fault = Some("the token is not accepted (auth)".to_owned());
        }
        let line = line_of(&standing, &Pace::default());
        assert!(
            line.ends_with("rests: the token is not accepted (auth); what to do: salebridge doctor --bridge shop"),
            "{line}"
        );
        let told = closing(std::slice::from_ref(&standing), &BTreeSet::new(), (12, 1), true);
        assert!(told.contains("12 requests, 1 answers 429 until everything was read\n"), "{told}");
        assert!(told.contains("Not all of shop works: the token is not accepted (auth); what to do: "), "{told}");
        standing.progress = None;
        assert_eq!(line_of(&standing, &Pace::default()), "shop: waits for its first page: amoCRM is away");
    }

    #[test]
    fn dead_letters_of_other_work_are_no_failure_of_this_one() {
        let mut standing = standing(10, Some(20), Part::Leads);
        (standing.dead_letters, standing.all_dead_letters) = (0, 3);
        let told = |standing: &Standing| closing(std::slice::from_ref(standing), &BTreeSet::new(), (12, 0), false);
        let of_others = told(&standing);
        assert!(
            of_others.contains("shop: 3 dead letters of other work: salebridge dead-letters list\n"),
            "{of_others}"
        );
        standing.dead_letters = 3;
        let own = told(&standing);
        assert!(own.contains("dead letters") && !own.contains("other work"), "{own}");
    }

    #[test]
    fn the_way_back_names_a_run_that_is_known() {
        let mut standing = standing(10, Some(20), Part::Leads);
        let mut undoable = BTreeSet::from(["shop".to_owned()]);
        let told = |standing: &Standing, undoable: &BTreeSet<String>| {
            closing(std::slice::from_ref(standing), undoable, (12, 0), true)
        };
        let known = told(&standing, &undoable);
        assert!(known.contains("salebridge undo 19700101-000000-001-backfill"), "{known}");
        undoable.clear();
        let told = |standing: &Standing| told(standing, &undoable);
        assert!(!told(&standing).contains("undo"), "{}", told(&standing));
        standing.progress.as_mut().expect("it has begun").linked = 3;
        assert!(told(&standing).contains("salebridge undo lists the runs that did"), "{}", told(&standing));
    }
}
