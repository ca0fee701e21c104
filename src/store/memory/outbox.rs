//! Decided writes.

use super::is_alive;
use crate::core::action::Side;
use crate::core::fault::Fault;
use crate::core::id::ActionId;
use crate::core::time::Millis;
use crate::ports::store::{ActionState, NewAction, OutboxRow};
use std::collections::{BTreeMap, BTreeSet};

/// An action and what is looked up about it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: OutboxRow,
    pub(super) key: String,
    pub(super) died_at: Millis,
}

impl Entry {
    fn waits_in(&self, slot: &str) -> bool {
        self.row.state == ActionState::Ready && self.row.slot.as_deref() == Some(slot)
    }
}

/// The actions of a bridge.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: BTreeMap<i64, Entry>,
}

impl Outbox {
    /// Waiting and running actions, oldest first.
    pub(super) fn alive(&self, which: impl Fn(&Entry) -> bool) -> impl Iterator<Item = &OutboxRow> {
        self.entries.values().filter(move |entry| is_alive(&entry.row) && which(entry)).map(|entry| &entry.row)
    }

    /// Dead actions.
    pub(super) fn dead(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| !is_alive(&entry.row))
    }

    /// Records an action, or finds the equal one that waits in its slot.
    pub(super) fn add(&mut self, new: NewAction, last_id: &mut i64) -> ActionId {
        if let Some(slot) = &new.slot {
            let equal = |entry: &Entry| entry.waits_in(slot) && entry.row.action == new.action;
            let kept = self.entries.values().find(|entry| equal(entry)).map(|entry| entry.row.id);
            self.entries.retain(|id, entry| !entry.waits_in(slot) || kept == Some(ActionId(*id)));
            if let Some(kept) = kept {
                return kept;
            }
        }
        *last_id += 1;
        let id = ActionId(*last_id);
        let key = new.action.key();
        let row = OutboxRow {
            id,
            action: new.action,
            slot: new.slot,
            priority: new.priority,
            state: ActionState::Ready,
            attempts: 0,
            in_doubt: false,
            not_before: new.not_before,
            created_at: new.created_at,
            first_attempt_at: None,
            fault: None,
            run: new.run,
        };
        self.entries.insert(id.0, Entry { row, key, died_at: Millis(0) });
        id
    }

    /// Drops the waiting action of a slot.
    pub(super) fn cancel(&mut self, slot: &str) {
        self.entries.retain(|_, entry| !entry.waits_in(slot));
    }

    /// Takes an action out.
    pub(super) fn done(&mut self, id: ActionId) {
        self.entries.remove(&id.0);
    }

    /// Puts an action back to wait.
    pub(super) fn retry(&mut self, id: ActionId, not_before: Millis, attempts: u32, in_doubt: bool, fault: Fault) {
        if let Some(Entry { row, .. }) = self.entries.get_mut(&id.0) {
            row.state = ActionState::Ready;
            row.not_before = not_before;
            row.attempts = attempts;
            row.in_doubt = in_doubt;
            row.fault = Some(fault);
        }
    }

    /// Makes an action a dead letter.
    pub(super) fn kill(&mut self, id: ActionId, fault: Fault, at: Millis) {
        if let Some(entry) = self.entries.get_mut(&id.0) {
            entry.row.state = ActionState::Dead;
            entry.row.fault = Some(fault);
            entry.died_at = at;
        }
    }

    /// Sets running actions ready and in doubt.
    pub(super) fn rescue(&mut self) -> u64 {
        let mut rescued = 0;
        for entry in self.entries.values_mut().filter(|entry| entry.row.state == ActionState::Running) {
            entry.row.state = ActionState::Ready;
            entry.row.in_doubt = true;
            rescued += 1;
        }
        rescued
    }

    /// When the newest waiting or running one was decided.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.entries.values().filter(|entry| is_alive(&entry.row)).map(|entry| entry.row.created_at).max()
    }

    /// When each waiting one may be sent.
    pub(super) fn dues(&mut self) -> impl Iterator<Item = &mut Millis> {
        let waiting = self.entries.values_mut().filter(|entry| entry.row.state == ActionState::Ready);
        waiting.map(|entry| &mut entry.row.not_before)
    }

    /// Waiting and running actions by key, each key's oldest first.
    fn chains(&self) -> BTreeMap<&str, Vec<&OutboxRow>> {
        let mut chains: BTreeMap<&str, Vec<&OutboxRow>> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| is_alive(&entry.row)) {
            chains.entry(&entry.key).or_default().push(&entry.row);
        }
        chains
    }

    /// When the next action of a side is due: the first of its key, unless that runs.
    pub(super) fn next_due(&self, side: Side) -> Option<Millis> {
        let chains = self.chains();
        let heads = chains.values().filter_map(|chain| chain.first());
        let ready = heads.filter(|row| row.state == ActionState::Ready && row.action.side() == side);
        ready.map(|row| row.not_before).min()
    }

    /// Takes due actions and sets them running.
    pub(super) fn claim(&mut self, side: Side, now: Millis, rows_max: usize) -> Vec<OutboxRow> {
        let chosen = self.chosen(side, now, rows_max);
        let mut claimed = Vec::with_capacity(chosen.len());
        for id in chosen {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.row.state = ActionState::Running;
                entry.row.first_attempt_at.get_or_insert(now);
                claimed.push(entry.row.clone());
            }
        }
        claimed
    }

    /// By priority and age, each with the less urgent ones that must go before it.
    fn chosen(&self, side: Side, now: Millis, rows_max: usize) -> Vec<i64> {
        let mut claimable = Vec::new();
        for chain in self.chains().into_values() {
            let Some(first) = chain.first().copied() else { continue };
            let fits = |row: &&&OutboxRow| {
                row.state == ActionState::Ready && row.not_before <= now && row.action.name() == first.action.name()
            };
            let run: Vec<&OutboxRow> = chain.iter().take_while(fits).copied().collect();
            if first.action.side() == side {
                let with_earlier = |place: usize| (run[place].priority, run[place].id, run[..=place].to_vec());
                claimable.extend((0..run.len()).map(with_earlier));
            }
        }
        claimable.sort_by_key(|(priority, id, _)| (*priority, *id));
        let mut seen = BTreeSet::new();
        let listed = claimable.iter().flat_map(|(_, _, earlier)| earlier).map(|row| row.id.0);
        listed.filter(|id| seen.insert(*id)).take(rows_max).collect()
    }
}
