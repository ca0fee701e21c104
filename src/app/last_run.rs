//! The run that a bridge is at, or was at last, for `status`.

use crate::core::backfill::{self, kept};
use crate::core::run::{RUNS, Run};
use crate::core::time::Millis;
use crate::core::undo;
use crate::ports::store::{Store, Stored};
use serde_json::{Value, json};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// It came to its end.
    Through,
    /// It was stopped before its end; the same command goes on with it.
    Unfinished,
    /// Something stands in its way; it goes on by itself.
    Rests,
    /// It is being carried out, or waits for whoever does.
    UnderWay,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Through => "through",
            State::Unfinished => "unfinished",
            State::Rests => "rests",
            State::UnderWay => "under_way",
        }
    }

    fn of(is_asked: bool, is_done: bool, has_fault: bool) -> State {
        match (is_asked, is_done, has_fault) {
            (true, false, true) => State::Rests,
            (true, ..) => State::UnderWay,
            (false, true, _) => State::Through,
            (false, false, _) => State::Unfinished,
        }
    }
}

/// What is told of a run.
#[derive(Debug, Clone)]
struct Told {
    run: Run,
    state: State,
    is_dry: bool,
}

/// A backfill or an undo under way first, else what was begun last. Null where nothing ever was. Passes are told where
/// they decided to change values: a poll that finds nothing new is no event.
pub(super) async fn of(bridge: &str, store: &dyn Store, now: Millis) -> Stored<Value> {
    let mut all: Vec<Told> = Vec::new();
    let asked = store.text(bridge, backfill::REQUEST).await?;
    let progress = store.text(bridge, backfill::PROGRESS).await?;
    all.extend(backfilling(kept(asked.as_deref()), kept(progress.as_deref())));
    let asked = store.text(bridge, undo::REQUEST).await?;
    let progress = store.text(bridge, undo::PROGRESS).await?;
    all.extend(undoing(kept(asked.as_deref()), kept(progress.as_deref())));
    let last = store.journal(bridge, RUNS, 1).await?;
    let last = last.first().and_then(|row| row.detail["run"].as_str()?.parse().ok());
    let last = last.filter(|run| all.iter().all(|told| told.run != *run));
    all.extend(last.map(|run| Told { run, state: State::Through, is_dry: false }));
    let is_at_work = |told: &Told| matches!(told.state, State::UnderWay | State::Rests);
    let told = all.into_iter().max_by_key(|told| (is_at_work(told), told.run.at));
    Ok(told.map_or(Value::Null, |Told { run, state, is_dry }| {
        json!({
            "name": run, "kind": run.kind.name(), "since": super::status::spelled(run.at),
            "age_s": now.since(run.at).max(0) / 1000, "state": state.name(), "dry_run": is_dry,
        })
    }))
}

fn backfilling(asked: Option<backfill::Request>, progress: Option<backfill::Progress>) -> Option<Told> {
    let request = asked.clone().or_else(|| progress.as_ref().map(|told| told.request.clone()))?;
    let progress = progress.filter(|told| told.request == request);
    let is_done = progress.as_ref().is_some_and(|told| told.done_at.is_some());
    let has_fault = progress.is_some_and(|told| told.fault.is_some());
    Some(Told { run: request.run(), state: State::of(asked.is_some(), is_done, has_fault), is_dry: request.dry_run })
}

fn undoing(asked: Option<undo::Request>, progress: Option<undo::Progress>) -> Option<Told> {
    let request = asked.clone().or_else(|| progress.as_ref().map(|told| told.request.clone()))?;
    let progress = progress.filter(|told| told.request == request);
    let is_done = progress.as_ref().is_some_and(|told| told.done_at.is_some());
    let has_fault = progress.is_some_and(|told| told.fault.is_some());
    Some(Told {
        run: request.own_run(),
        state: State::of(asked.is_some(), is_done, has_fault),
        is_dry: request.dry_run,
    })
}
