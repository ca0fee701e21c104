//! Undos: runs are listed, one is asked for through the store, and carried out by the daemon, or here where none runs.

use crate::app::asked;
use crate::app::dead_letters::bridges;
use crate::app::driven::{self, Driven};
use crate::app::nodes::Task;
use crate::app::opened::Opened;
use crate::app::status::spelled;
use crate::app::wire;
use crate::config::Config;
use crate::core::backfill::{self, kept};
use crate::core::gap::JOURNAL_KEPT_DAYS;
use crate::core::run::{DECIDED, RUNS, Run, RunKind, UNDID, WROTE, WroteLine};
use crate::core::undo::{LINES_MAX, Line, OVERTAKEN, PROGRESS, Progress, REQUEST, Request, WRITES, WROTE_MAX, What};
use crate::ports::store::{Change, DeadContent, Store, Stored};
use anyhow::bail;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Most lines of the list of runs that are read, the newest; one is a commit's.
const LISTED_MAX: u32 = 20_000;
/// Most waiting or dead actions that are looked through.
const ROWS_MAX: u32 = 10_000;

/// A run that decided to change values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The bridge.
    pub bridge: String,
    /// The run.
    pub run: Run,
    /// How many values it decided to change. Some may have been decided again, or given up.
    pub decided: u64,
    /// The undos of it, oldest first.
    pub undone_by: Vec<Run>,
}

impl Summary {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "bridge": self.bridge, "run": self.run, "kind": self.run.kind.name(), "at": self.run.at,
            "decided": self.decided, "undone_by": self.undone_by,
        })
    }
}

/// The runs that the journals still tell of, newest first within a bridge.
pub async fn runs(config: &Config, store: &dyn Store, only: Option<&str>) -> anyhow::Result<Vec<Summary>> {
    let mut all = Vec::new();
    for bridge in bridges(config, only)? {
        all.extend(listed(store, bridge).await?.into_values().rev());
    }
    Ok(all)
}

async fn listed(store: &dyn Store, bridge: &str) -> Stored<BTreeMap<Run, Summary>> {
    let mut rows = store.journal(bridge, RUNS, LISTED_MAX).await?;
    rows.reverse();
    let mut all: BTreeMap<Run, Summary> = BTreeMap::new();
    let run = |value: &Value| value.as_str().and_then(|text| text.parse::<Run>().ok());
    for row in rows {
        let Some(own) = run(&row.detail["run"]) else { continue };
        if row.kind == DECIDED {
            let summary = all.entry(own).or_insert_with(|| Summary {
                bridge: bridge.to_owned(),
                run: own,
                decided: 0,
                undone_by: Vec::new(),
            });
            summary.decided += row.detail["decided"].as_u64().unwrap_or_default();
        } else if row.kind == UNDID
            && let Some(of) = run(&row.detail["of"]).and_then(|of| all.get_mut(&of))
        {
            of.undone_by.push(own);
        }
    }
    Ok(all)
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is to be undone.
    pub run: Run,
    /// Of this value alone: a pair's name, or either side of one.
    pub field: Option<String>,
    /// Nothing is written.
    pub dry_run: bool,
}

/// How an undo stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// How far it is; none before the first page.
    pub progress: Option<Progress>,
    /// Its writes that wait or are under way.
    pub waiting: u64,
    /// Its writes that were given up.
    pub dead: u64,
    /// True once everything was decided, and written or given up.
    pub is_over: bool,
    /// What does not work at the moment: at the bridge, where it is carried out here; else that there is no daemon.
    pub fault: Option<String>,
    /// Why it will not come to its end: somebody stopped it, or asked for another one in its place.
    pub lost: Option<String>,
}

/// An undo of one run of one bridge.
pub struct Undo {
    opened: Opened,
    store: Arc<dyn Store>,
    /// The bridge.
    pub bridge: String,
    /// What was asked for.
    pub request: Request,
    /// Writes of the run that still waited when it was asked for: they are not told of.
    pub unwritten: u64,
    /// True when an unfinished one is gone on with.
    pub goes_on: bool,
    own: Option<Driven>,
    /// It, once it was seen at its end: the next one takes the place where that stands.
    done: Mutex<Option<Progress>>,
}

impl Undo {
    /// Asks for it, and drives the bridge unless a daemon does.
    ///
    /// # Errors
    /// No bridge has such a run, several have, it wrote nothing of the field, it is still under way, or another undo is.
    pub async fn begin(config: &Config, only: Option<&str>, wish: Wish) -> anyhow::Result<Undo> {
        let Wish { run, field, dry_run } = wish;
        let request = Request { asked_at: wire::now(), run, field, dry_run };
        let reader = wire::read_store(config).await?;
        let bridge = bridge_of(config, reader.as_ref(), only, run).await?;
        check(reader.as_ref(), &bridge, run).await?;
        let left = unfinished(reader.as_ref(), &bridge, &request).await?;
        if left.is_none() {
            must_be_of_run(reader.as_ref(), &bridge, &request).await?;
        }
        if left.is_none() && !dry_run {
            must_be_seen(config, reader.as_ref(), &bridge, &request).await?;
        }
        let unwritten = unwritten(reader.as_ref(), &bridge, run).await?;
        if unwritten > 0 && !dry_run {
            bail!(
                "{unwritten} writes of {run} still wait and would come after the undo; let them end first (salebridge status)"
            );
        }
        drop(reader);
        let (opened, is_driven) = driven::reach(config, std::slice::from_ref(&bridge)).await?;
        let store = opened.store();
        let goes_on = left.is_some();
        let (request, is_decided) = left.unwrap_or((request, false));
        // Nothing is driven before it is asked for: what is refused must not go on with somebody else's meanwhile.
        let asked = match is_decided {
            true => Ok(request),
            false => ask(store.as_ref(), &bridge, request, is_driven).await,
        };
        let request = match asked {
            Ok(request) => request,
            Err(error) => {
                opened.close().await;
                return Err(error);
            }
        };
        let own = match is_driven {
            true => None,
            false => Some(driven::drive(config, std::slice::from_ref(&bridge), &opened, Task::Undo)?),
        };
        if let Some(own) = &own {
            own.wake();
        }
        Ok(Undo { opened, store, bridge, request, unwritten, goes_on, own, done: Mutex::default() })
    }

    /// True when a daemon carries it out.
    pub fn is_of_daemon(&self) -> bool {
        self.own.is_none()
    }

    /// How it stands.
    pub async fn standing(&self) -> anyhow::Result<Standing> {
        // In this order: what is asked for goes in the commit that tells of the end.
        let asked = kept::<Request>(self.store.text(&self.bridge, REQUEST).await?.as_deref());
        let told = kept::<Progress>(self.store.text(&self.bridge, PROGRESS).await?.as_deref());
        let (progress, lost) = self.own_of(asked, told);
        let is_decided = progress.as_ref().is_some_and(|progress| progress.done_at.is_some());
        let waiting = unwritten(self.store.as_ref(), &self.bridge, self.request.own_run()).await?;
        let dead = if is_decided && waiting == 0 {
            given_up(self.store.as_ref(), &self.bridge, self.request.own_run()).await?
        } else {
            0
        };
        let fault = match &self.own {
            Some(own) => own.fault(&self.bridge),
            None => driven::absence(&self.opened, &self.bridge).await,
        };
        Ok(Standing { progress, waiting, dead, is_over: is_decided && waiting == 0, fault, lost })
    }

    /// Values that were edited after they were read and before they were written: they are left.
    pub async fn overtaken(&self) -> anyhow::Result<Vec<Line>> {
        let rows = self.store.journal(&self.bridge, &self.request.own_run().subject(), ROWS_MAX).await?;
        let lines = rows.into_iter().filter(|row| row.kind == OVERTAKEN);
        let lines = lines.filter_map(|row| serde_json::from_value::<WroteLine>(row.detail).ok());
        Ok(lines.flat_map(overtaken).take(LINES_MAX).collect())
    }

    /// How far this request is, of what is kept, and whether it was lost.
    fn own_of(&self, asked: Option<Request>, told: Option<Progress>) -> (Option<Progress>, Option<String>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.is_some() {
            return (done.clone(), None);
        }
        let (own, lost) = asked::own_of(&self.request, asked, told, "undo", |other| command(&self.bridge, other));
        if own.as_ref().is_some_and(|progress| progress.done_at.is_some()) {
            done.clone_from(&own);
        }
        (own, lost)
    }

    /// Takes it back where it is not finished: what was recorded is carried out, the rest is left. Another one that
    /// somebody has asked for since is left alone.
    pub async fn leave(&self) -> anyhow::Result<()> {
        asked::take_back(self.store.as_ref(), &self.bridge, REQUEST, &self.request).await?;
        Ok(())
    }

    /// Ends what is driven here.
    pub async fn end(self) {
        if let Some(own) = self.own {
            own.end().await;
        }
        self.opened.close().await;
    }
}

/// Writes of a run that were given up.
pub(super) async fn given_up(store: &dyn Store, bridge: &str, run: Run) -> Stored<u64> {
    let mut count = 0;
    for letter in store.dead_letters(bridge, ROWS_MAX).await? {
        if letter.queue == "outbox"
            && letter.created_at >= run.at
            && let Some(detail) = store.dead_letter(bridge, letter.queue, letter.id).await?
            && let DeadContent::Action(row) = detail.content
        {
            count += u64::from(row.run == Some(run));
        }
    }
    Ok(count)
}

/// Writes of a run that wait or are under way.
async fn unwritten(store: &dyn Store, bridge: &str, run: Run) -> Stored<u64> {
    let mut count = 0;
    for name in WRITES {
        let rows = store.pending_named(bridge, name, ROWS_MAX).await?;
        count += rows.iter().filter(|row| row.run == Some(run)).count() as u64;
    }
    Ok(count)
}

fn overtaken(line: WroteLine) -> impl Iterator<Item = Line> {
    let target = line.target;
    line.values.into_iter().map(move |value| Line {
        target,
        place: value.rule.clone(),
        rule: value.rule,
        what: What::Edited,
        told: "it was edited while it was being put back".to_owned(),
        before: Some(value.after),
        after: value.before.unwrap_or_default(),
        now: None,
    })
}

/// True where the journal tells of values that the run changed, or decided to change.
pub(super) async fn is_known(store: &dyn Store, bridge: &str, run: Run) -> Stored<bool> {
    Ok(!store.journal(bridge, &run.subject(), 1).await?.is_empty() || listed(store, bridge).await?.contains_key(&run))
}

/// The bridge that has the run.
async fn bridge_of(config: &Config, store: &dyn Store, only: Option<&str>, run: Run) -> anyhow::Result<String> {
    let mut found = Vec::new();
    for bridge in bridges(config, only)? {
        if is_known(store, bridge, run).await? {
            found.push(bridge.to_owned());
        }
    }
    match found.as_slice() {
        [bridge] => Ok(bridge.clone()),
        [] => bail!(
            "no run {run} is known; salebridge undo lists the runs that changed values (the journal keeps {JOURNAL_KEPT_DAYS} days)"
        ),
        several => bail!("{} bridges have a run {run}: {}; say which with --bridge", several.len(), several.join(", ")),
    }
}

/// The same undo, left unfinished: it is gone on with under its own name, so that it can be undone as one. True in the
/// second place where all is decided, and only writes wait.
///
/// # Errors
/// Another one is unfinished: asking for this one would take it back in the middle.
async fn unfinished(store: &dyn Store, bridge: &str, wish: &Request) -> anyhow::Result<Option<(Request, bool)>> {
    let asked = kept::<Request>(store.text(bridge, REQUEST).await?.as_deref()).filter(|asked| !asked.dry_run);
    let told = kept::<Progress>(store.text(bridge, PROGRESS).await?.as_deref());
    let told = told.filter(|told| !told.request.dry_run);
    let (left, is_decided) = match (asked, told) {
        (Some(asked), _) => (asked, false),
        (None, Some(told)) if unwritten(store, bridge, told.request.own_run()).await? > 0 => {
            (told.request, told.done_at.is_some())
        }
        // It was stopped by hand: who asks for something else means it.
        (None, Some(told)) if told.done_at.is_none() && told.request.is_like(wish) => (told.request, false),
        _ => return Ok(None),
    };
    if left.is_like(wish) {
        return Ok(Some((left, is_decided)));
    }
    Err(in_the_way(bridge, &left))
}

fn in_the_way(bridge: &str, left: &Request) -> anyhow::Error {
    let what = if left.dry_run { "dry run of the undo" } else { "undo" };
    anyhow::anyhow!(
        "the {what} of {}, asked for at {}, is not finished yet. Go on with it and let it end, or stop it there with \
         Ctrl-C: {}",
        left.run,
        spelled(left.asked_at),
        command(bridge, left)
    )
}

/// What asks for the very same.
fn command(bridge: &str, request: &Request) -> String {
    let Request { run, field, dry_run, .. } = request;
    let field = field.as_ref().map(|field| format!(" --field '{field}'")).unwrap_or_default();
    let how = if *dry_run { "--dry-run" } else { "--yes" };
    format!("salebridge undo {run}{field} {how} --bridge {bridge}")
}

/// Asks for it, or for the same that somebody watches already.
///
/// # Errors
/// Another one is asked for: who watches that would wait for ever, and its Ctrl-C would take this one back.
async fn ask(store: &dyn Store, bridge: &str, request: Request, is_driven: bool) -> anyhow::Result<Request> {
    let asked = kept::<Request>(store.text(bridge, REQUEST).await?.as_deref());
    // A dry run that nobody carries out was abandoned, and has nothing that is worth keeping.
    match asked.filter(|asked| is_driven || !asked.dry_run) {
        Some(asked) if asked.is_like(&request) => return Ok(asked),
        Some(asked) => return Err(in_the_way(bridge, &asked)),
        None => store.commit(bridge, vec![Change::PutText(REQUEST, serde_json::to_string(&request)?)]).await?,
    };
    // Of two who ask at once the last one has it.
    match kept::<Request>(store.text(bridge, REQUEST).await?.as_deref()) {
        Some(asked) if asked != request => Err(in_the_way(bridge, &asked)),
        _ => Ok(request),
    }
}

/// Refuses a field of which the run wrote nothing: a slip of the pen would read as nothing to put back. The run's own
/// lines are asked, since the mapping may have been corrected meanwhile.
async fn must_be_of_run(store: &dyn Store, bridge: &str, wish: &Request) -> anyhow::Result<()> {
    let Some(field) = &wish.field else { return Ok(()) };
    let mut pairs = BTreeSet::new();
    for row in store.journal(bridge, &wish.run.subject(), WROTE_MAX).await?.into_iter().filter(|row| row.kind == WROTE)
    {
        let line = serde_json::from_value::<WroteLine>(row.detail).ok();
        pairs.extend(line.into_iter().flat_map(|line| line.values).map(|value| value.rule));
    }
    // What still waits becomes its lines.
    for name in WRITES {
        let rows = store.pending_named(bridge, name, ROWS_MAX).await?;
        let lines = rows.iter().filter(|row| row.run == Some(wish.run)).filter_map(|row| WroteLine::of(&row.action));
        pairs.extend(lines.flat_map(|line| line.values).map(|value| value.rule));
    }
    if pairs.is_empty() || pairs.iter().any(|pair| wish.wants(pair)) {
        return Ok(());
    }
    let written = pairs.into_iter().map(|pair| format!("\n  {pair}")).collect::<String>();
    bail!(
        "{} wrote no value of '{field}', and nothing was done. Name a pair or either side of one, as it stands here; it \
         wrote:{written}",
        wish.run
    );
}

/// Refuses to write many values of which nobody has seen what becomes of them. A guard that stops a pass asks a human;
/// here a human asks, and the dry run is what they answer to.
async fn must_be_seen(config: &Config, store: &dyn Store, bridge: &str, wish: &Request) -> anyhow::Result<()> {
    let told = kept::<Progress>(store.text(bridge, PROGRESS).await?.as_deref());
    let is_seen = told.is_some_and(|told| {
        let of = &told.request;
        let covers = of.field.is_none() || of.field == wish.field;
        of.dry_run && of.run == wish.run && covers && told.done_at.is_some()
    });
    let decided = listed(store, bridge).await?.get(&wish.run).map_or(0, |summary| summary.decided);
    let limit = config.bridges.iter().find(|own| own.name == bridge).map_or(0, |own| own.policy.guard.max_cleared_min);
    if is_seen || decided <= limit {
        return Ok(());
    }
    let field = wish.field.as_ref().map(|field| format!(" --field '{field}'")).unwrap_or_default();
    bail!(
        "{run} changed {decided} values, and nobody has looked yet at what putting them back would do. Look first, then \
         the same with --yes: salebridge undo {run}{field}",
        run = wish.run
    );
}

/// Refuses what cannot be undone now.
async fn check(store: &dyn Store, bridge: &str, run: Run) -> anyhow::Result<()> {
    let asked = store.text(bridge, backfill::REQUEST).await?;
    if run.kind == RunKind::Backfill
        && kept::<backfill::Request>(asked.as_deref()).is_some_and(|asked| asked.run() == run)
    {
        bail!("the backfill {run} is still under way; stop it or let it end, then undo it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Millis;
    use crate::store::memory::MemoryStore;

    fn request(asked_at: i64, dry_run: bool) -> Request {
        let run = Run { at: Millis(7), kind: RunKind::Backfill };
        Request { asked_at: Millis(asked_at), run, field: None, dry_run }
    }

    #[tokio::test]
    async fn an_undo_takes_no_place_from_a_dry_run_that_somebody_watches() {
        let store = MemoryStore::default();
        ask(&store, "shop", request(1, true), true).await.expect("nothing is asked for");
        let error = ask(&store, "shop", request(2, false), true).await.expect_err("it is under way").to_string();
        assert!(error.contains("not finished yet") && error.contains("--dry-run --bridge shop"), "{error}");
        let joined = ask(&store, "shop", request(3, true), true).await.expect("the same");
        assert_eq!(joined, request(1, true));
        // Nobody carries it out: it was killed.
        let own = ask(&store, "shop", request(4, false), false).await.expect("the other one is abandoned");
        assert_eq!(own, request(4, false));
        ask(&store, "shop", request(5, true), false).await.expect_err("an undo itself is gone on with");
    }
}
