//! Guards: passes that a check stopped, pairs that were frozen, and their release.
//!
//! Both are kept as texts in the store, so that `status` shows them and a restart does not forget
//! them. A release is a text too: the command writes it, the daemon carries it out, so that no link
//! is ever written by two at a time.

use super::record::Draft;
use super::{Bridge, Step};
use crate::core::action::LinkRef;
use crate::core::check::{Excess, Tally};
use crate::core::flips::Flips;
use crate::core::guard::{self, Frozen, Stop};
use crate::core::id::{ClientId, LeadId};
use crate::core::plan::Notice;
use crate::core::time::Millis;
use crate::ports::store::{Change, Mark, StoreError, Stored, Subject};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The health part.
const PART: &str = "guard";
/// A stopped pass is tried again after this long: what was wrong may have been put right. Each try
/// reads everything again, so it must not be often.
pub(super) const REST_MS: i64 = 300_000;
/// How often the command is looked for while something could be released.
const LOOK_MS: i64 = 2_000;

/// Stopped passes by name.
#[derive(Debug, Default)]
pub(super) struct Guarding {
    stops: Mutex<BTreeMap<String, Stop>>,
}

impl Guarding {
    fn stops(&self) -> MutexGuard<'_, BTreeMap<String, Stop>> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        guard::text_of(&self.stops().values().cloned().collect::<Vec<_>>())
    }
}

/// What these drafts would do. What rests on no record, such as a mark for later, is none.
pub(super) fn tally(drafts: &[Draft]) -> Tally {
    Tally {
        records: drafts.iter().filter(|draft| !draft.subjects.is_empty()).count() as u64,
        cleared: drafts.iter().map(|draft| draft.cleared).sum(),
        unlinked: drafts.iter().map(|draft| draft.unlinked).sum(),
    }
}

impl Bridge {
    /// What was stopped before a restart stays stopped.
    pub(super) async fn load_stops(&self) {
        while !self.is_stopping() {
            match self.store().text(self.name(), guard::STOPS).await {
                Ok(text) => {
                    let kept = guard::kept::<Stop>(text.as_deref());
                    *self.guards.stops() = kept.into_iter().map(|stop| (stop.pass.clone(), stop)).collect();
                    self.tell_guards();
                    return;
                }
                Err(error) => self.store_failed(PART, &error).await,
            }
        }
    }

    /// True when a pass may be recorded. Otherwise it is stopped, and told about once.
    pub(super) async fn lets_through(&self, pass: &str, excess: Option<Excess>) -> Stored<bool> {
        let Some(excess) = excess else { return Ok(true) };
        let now = self.now();
        if self.guards.stops().get(pass).is_some_and(|stop| stop.is_released(now)) {
            tracing::warn!(bridge = self.name(), pass, check = excess.check(), finding = %excess, "a pass goes through because it was released");
            return Ok(true);
        }
        let mut changes = Vec::new();
        let stop = self.stopped(pass, excess);
        if stop.since == now {
            tracing::error!(bridge = self.name(), pass, check = excess.check(), "{}", stop.told(self.name()));
            let detail = json!({ "stopped": pass, "check": excess.check(), "reason": stop.reason });
            changes.push(self.journal(Notice { subject: PART.to_owned(), kind: "guard", detail }));
        }
        changes.push(Change::PutText(guard::STOPS, self.guards.text()));
        self.tell_guards();
        self.commit(changes).await?;
        self.bells.guard.ring();
        Ok(false)
    }

    fn stopped(&self, pass: &str, excess: Excess) -> Stop {
        let now = self.now();
        let mut stops = self.guards.stops();
        let since = stops.get(pass).map_or(now, |stop| stop.since);
        let stop = Stop {
            pass: pass.to_owned(),
            check: excess.check().to_owned(),
            reason: excess.to_string(),
            since,
            tried_at: now,
            released_at: None,
        };
        stops.insert(pass.to_owned(), stop.clone());
        stop
    }

    /// A pass was recorded whole: it is stopped no more, and a release of it is used up.
    pub(super) async fn went_through(&self, pass: &str) -> Stored<()> {
        let was_stopped = self.guards.stops().remove(pass).is_some();
        if was_stopped {
            tracing::info!(bridge = self.name(), pass, "a pass that was stopped went through");
            self.tell_guards();
            self.commit(vec![Change::PutText(guard::STOPS, self.guards.text())]).await?;
        }
        Ok(())
    }

    /// True while a stopped pass is not to be tried.
    pub(super) fn is_held(&self, pass: &str) -> bool {
        let now = self.now();
        let rests = |stop: &Stop| !stop.is_released(now) && now.is_near(stop.tried_at, REST_MS);
        self.guards.stops().get(pass).is_some_and(rests)
    }

    /// True once a stopped pass is due to be tried again, released or not.
    pub(super) fn has_rested(&self, pass: &str) -> bool {
        let now = self.now();
        self.guards.stops().get(pass).is_some_and(|stop| !now.is_near(stop.tried_at, REST_MS))
    }

    fn tell_guards(&self) {
        let told: Vec<String> = self.guards.stops().values().map(|stop| stop.told(self.name())).collect();
        match told.is_empty() {
            true => self.health.worked(PART, self.now()),
            false => self.health.failed(PART, &told.join("; "), self.now()),
        };
    }

    /// Freezes pairs that were found to turn too often; returns those that found no room in the list
    /// and stay free.
    pub(super) async fn freeze(&self, found: Vec<Frozen>, changes: &mut Vec<Change>) -> Stored<Vec<Frozen>> {
        if found.is_empty() {
            return Ok(found);
        }
        let mut kept = self.kept_frozen().await?;
        kept.retain(|old| !found.iter().any(|new| (new.link, &new.rule) == (old.link, &old.rule)));
        let room = guard::FROZEN_MAX.saturating_sub(kept.len());
        let (taken, left) = found.split_at(room.min(found.len()));
        for pair in taken {
            tracing::warn!(bridge = self.name(), subject = %pair.subject(), rule = %pair.rule, "a pair of values is frozen: {}", pair.told(self.name()));
            let detail = json!({ "rule": pair.rule, "frozen": true });
            changes.push(self.journal(Notice { subject: pair.subject(), kind: "frozen", detail }));
        }
        kept.extend_from_slice(taken);
        changes.push(Change::PutText(guard::FROZEN, guard::text_of(&kept)));
        Ok(left.to_vec())
    }

    async fn kept_frozen(&self) -> Stored<Vec<Frozen>> {
        Ok(guard::kept(self.store().text(self.name(), guard::FROZEN).await?.as_deref()))
    }

    /// Carries out a release that was asked for.
    pub(super) async fn release_step(&self) -> Result<Step, StoreError> {
        let asked = self.store().text(self.name(), guard::RELEASE).await?;
        let Some(asked_at) = asked.and_then(|text| text.parse().ok()).map(Millis) else {
            let waits = !self.guards.stops().is_empty();
            return Ok(Step::Idle(waits.then(|| self.now().plus(LOOK_MS))));
        };
        let gate = self.in_flight.lock().await;
        let (freed, still): (Vec<Frozen>, Vec<Frozen>) =
            self.kept_frozen().await?.into_iter().partition(|pair| self.is_released(pair.since, asked_at));
        let mut changes = self.thawed(&freed).await?;
        let passes = self.release_stops(asked_at);
        changes.push(Change::PutText(guard::STOPS, self.guards.text()));
        changes.push(Change::PutText(guard::FROZEN, guard::text_of(&still)));
        changes.push(Change::PutText(guard::RELEASE, String::new()));
        let detail = json!({ "released": passes, "pairs": freed.len() });
        changes.push(self.journal(Notice { subject: PART.to_owned(), kind: "guard", detail }));
        self.commit(changes).await?;
        drop(gate);
        tracing::info!(bridge = self.name(), passes = ?passes, pairs = freed.len(), "guards were released");
        if passes.iter().any(|pass| pass == super::poll::SWEEP) {
            self.bells.sweep.ring();
        }
        if passes.iter().any(|pass| pass == super::poll::BACKFILL) {
            self.bells.backfill.ring();
        }
        Ok(Step::More)
    }

    /// What came after it was asked for is not meant; what seems to come later than now did so before our clock was set back.
    fn is_released(&self, since: Millis, asked_at: Millis) -> bool {
        since <= asked_at || since > self.now()
    }

    fn release_stops(&self, asked_at: Millis) -> Vec<String> {
        let now = self.now();
        let mut stops = self.guards.stops();
        let asked = stops.values_mut().filter(|stop| self.is_released(stop.since, asked_at));
        asked
            .map(|stop| {
                stop.released_at = Some(now);
                stop.pass.clone()
            })
            .collect()
    }

    /// Links whose pairs are carried over again, and hints to look at them.
    async fn thawed(&self, pairs: &[Frozen]) -> Stored<Vec<Change>> {
        let clients: Vec<ClientId> = pairs.iter().filter_map(|pair| client_of(pair.link)).collect();
        let leads: Vec<LeadId> = pairs.iter().filter_map(|pair| lead_of(pair.link)).collect();
        let mut changes = Vec::new();
        let mark = |subject| Change::Mark(Mark { subject, due: self.now(), attempts: 0, run: None });
        for mut link in self.store().clients(self.name(), &clients).await? {
            let own = LinkRef::Client(link.client.id);
            thaw(&mut link.bases, pairs, own);
            changes.push(mark(Subject::Client(link.client.id)));
            changes.push(Change::PutClient(Box::new(link)));
        }
        for mut link in self.store().deals(self.name(), &leads).await? {
            thaw(&mut link.bases, pairs, LinkRef::Lead(link.lead));
            changes.push(mark(Subject::Lead(link.lead)));
            changes.push(Change::PutDeal(Box::new(link)));
        }
        Ok(changes)
    }
}

fn thaw(bases: &mut crate::core::link::Bases, pairs: &[Frozen], own: LinkRef) {
    for pair in pairs.iter().filter(|pair| pair.link == own) {
        if let Some(base) = bases.get_mut(&pair.rule) {
            base.flips = Flips::default();
        }
    }
}

fn client_of(link: LinkRef) -> Option<ClientId> {
    if let LinkRef::Client(id) = link { Some(id) } else { None }
}

fn lead_of(link: LinkRef) -> Option<LeadId> {
    if let LinkRef::Lead(id) = link { Some(id) } else { None }
}
