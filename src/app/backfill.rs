//! Backfills: asked for through the store, carried out by the daemon, or here where none runs.

use crate::app::driven::{self, Driven};
use crate::app::nodes::Task;
use crate::app::opened::Opened;
use crate::app::undo;
use crate::app::wire;
use crate::config::Config;
use crate::core::backfill::{self, PROGRESS, Part, Progress, REQUEST, Request};
use crate::core::time::Millis;
use crate::ports::store::{Change, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Marks further ahead are not waited for.
const NEAR_MS: i64 = 600_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Of this bridge alone.
    pub bridge: Option<String>,
    /// What is looked at.
    pub parts: BTreeSet<Part>,
    /// Only what changed since.
    pub since: Option<Millis>,
    /// Only what changed until then.
    pub until: Option<Millis>,
    /// Nothing is written.
    pub dry_run: bool,
    /// From the beginning, even if the same was left unfinished.
    pub restart: bool,
}

/// How a bridge's backfill stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The bridge.
    pub bridge: String,
    /// How far it is; none before the first page.
    pub progress: Option<Progress>,
    /// Writes that wait or are under way.
    pub outbox: u64,
    /// True once everything was looked at, and what it led to was written.
    pub is_over: bool,
    /// Dead letters.
    pub dead_letters: u64,
    /// What does not work at the moment: at the bridge, where it is carried out here; else that there is no daemon.
    pub fault: Option<String>,
}

/// Backfills of one or several bridges.
pub struct Backfills {
    opened: Opened,
    store: Arc<dyn Store>,
    bridges: Vec<(String, Request)>,
    own: Option<Driven>,
}

impl Backfills {
    /// Asks for backfills, and drives the bridges unless a daemon does. True in the second place for each bridge
    /// where an unfinished one is gone on with.
    pub async fn begin(config: &Config, wish: &Wish) -> anyhow::Result<(Backfills, Vec<(String, bool)>)> {
        let bridges: Vec<String> =
            crate::app::dead_letters::bridges(config, wish.bridge.as_deref())?.into_iter().map(str::to_owned).collect();
        let (opened, own) = driven::open(config, &bridges, Task::Backfill).await?;
        let store = opened.store();
        let (mut asked, mut told) = (Vec::new(), Vec::new());
        for bridge in bridges {
            let (request, goes_on) = ask(store.as_ref(), &bridge, wish, wire::now()).await?;
            told.push((bridge.clone(), goes_on));
            asked.push((bridge, request));
        }
        Ok((Backfills { opened, store, bridges: asked, own }, told))
    }

    /// True when a daemon carries it out.
    pub fn is_of_daemon(&self) -> bool {
        self.own.is_none()
    }

    /// How all of them stand.
    pub async fn standings(&self) -> anyhow::Result<Vec<Standing>> {
        let mut all = Vec::new();
        for (bridge, request) in &self.bridges {
            let text = self.store.text(bridge, PROGRESS).await?;
            // An earlier one's is of no concern.
            let progress = backfill::kept::<Progress>(text.as_deref()).filter(|kept| kept.request == *request);
            let is_asked = !self.store.text(bridge, REQUEST).await?.unwrap_or_default().is_empty();
            let counts = self.store.counts(bridge).await?;
            let done_at = progress.as_ref().and_then(|progress| progress.done_at).filter(|_| !is_asked);
            // What a write led to is marked in its turn. Beside a daemon there are always others' marks.
            let marks = self.store.next_due(bridge).await?.marks;
            let is_looked_at = marks.is_none_or(|due| due.since(wire::now()) > NEAR_MS);
            let is_written = |done_at: Millis| match self.is_of_daemon() {
                true => counts.outbox_oldest.is_none_or(|oldest| oldest > done_at),
                false => counts.outbox == 0 && is_looked_at,
            };
            all.push(Standing {
                bridge: bridge.clone(),
                is_over: done_at.is_some_and(is_written),
                outbox: counts.outbox,
                dead_letters: counts.dead_letters,
                fault: self.fault(bridge).await,
                progress,
            });
        }
        Ok(all)
    }

    /// Bridges whose backfill changed values, so that there is something to put back under its name.
    pub async fn undoable(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut undoable = BTreeSet::new();
        for (bridge, request) in &self.bridges {
            if undo::is_known(self.store.as_ref(), bridge, request.run()).await? {
                undoable.insert(bridge.clone());
            }
        }
        Ok(undoable)
    }

    /// Requests and answers 429 so far: all that were sent from here, or what the daemon tells with each page.
    pub fn requests(&self, standings: &[Standing]) -> (u64, u64) {
        let told = standings.iter().filter_map(|standing| standing.progress.as_ref());
        let of_daemon =
            || told.fold((0, 0), |(sent, throttled), told| (sent + told.requests, throttled + told.throttled));
        self.own.as_ref().map_or_else(of_daemon, Driven::requests)
    }

    async fn fault(&self, bridge: &str) -> Option<String> {
        match &self.own {
            Some(own) => own.fault(bridge),
            None => driven::absence(&self.opened, bridge).await,
        }
    }

    /// Takes back what is not finished: it stops between two pages and can be gone on with.
    pub async fn leave(&self) -> anyhow::Result<()> {
        for (bridge, _) in &self.bridges {
            self.store.commit(bridge, vec![Change::PutText(REQUEST, String::new())]).await?;
        }
        Ok(())
    }

    /// Ends what is driven here: what is under way is finished.
    pub async fn end(self) {
        if let Some(own) = self.own {
            own.end().await;
        }
        self.opened.close().await;
    }
}

/// Asks for one bridge. True when an unfinished one is gone on with.
async fn ask(store: &dyn Store, bridge: &str, wish: &Wish, now: Millis) -> anyhow::Result<(Request, bool)> {
    let request = Request {
        asked_at: now,
        parts: wish.parts.clone(),
        since: wish.since,
        until: wish.until,
        dry_run: wish.dry_run,
    };
    let text = store.text(bridge, PROGRESS).await?;
    let left = backfill::kept::<Progress>(text.as_deref())
        .filter(|left| left.done_at.is_none() && left.request.is_like(&request) && !wish.restart && !wish.dry_run);
    let goes_on = left.is_some();
    let request = left.map_or(request, |left| left.request);
    store.commit(bridge, vec![Change::PutText(REQUEST, serde_json::to_string(&request)?)]).await?;
    Ok((request, goes_on))
}
