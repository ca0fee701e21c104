//! A store that forgets: plain maps behind one lock, for simulations and tests.
//!
//! It keeps the contract to the letter, ids and order included, and is as deterministic as its caller.

mod changes;
mod inbox;
mod outbox;

use super::limits::{INBOX_ROWS_MAX, check_body, check_change, inbox_full, key_subject, source_name};
use crate::core::action::Side;
use crate::core::id::{ActionId, ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::people::MatchKey;
use crate::core::time::Millis;
use crate::ports::store::{
    ActionState, Change, Counts, Cursor, DeadContent, DeadDetail, DeadLetter, InboxRow, JournalRow, MarkRow, NewInbox,
    NextDue, OutboxRow, Received, Store, Stored, Subject,
};
use async_trait::async_trait;
use inbox::{Body, Inbox};
use outbox::{Entry, Outbox};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    inbox_rows_max: u64,
    state: Mutex<State>,
}

/// Everything of every bridge. Ids are counted over all of them.
#[derive(Debug, Default)]
struct State {
    ids: Ids,
    bridges: BTreeMap<String, Bridge>,
}

/// The last ids that were given out.
#[derive(Debug, Default)]
struct Ids {
    inbox: i64,
    outbox: i64,
    mark: i64,
}

/// Everything of one bridge.
#[derive(Debug, Default)]
struct Bridge {
    inbox: Inbox,
    marks: BTreeMap<Subject, MarkRow>,
    outbox: Outbox,
    clients: BTreeMap<ClientId, ClientLink>,
    deals: BTreeMap<LeadId, DealLink>,
    contacts: BTreeMap<ContactId, ContactSeen>,
    keys: BTreeMap<MatchKey, ContactId>,
    cursors: BTreeMap<String, Cursor>,
    texts: BTreeMap<String, String>,
    journal: Vec<JournalRow>,
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new(INBOX_ROWS_MAX)
    }
}

impl MemoryStore {
    /// An empty store. `inbox_rows_max`: waiting bodies of one bridge above which no more are taken in.
    pub fn new(inbox_rows_max: u64) -> MemoryStore {
        MemoryStore { inbox_rows_max, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Changes are checked before the first one is applied, so a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a bridge; one never written to is empty.
    fn read<T: Default>(&self, bridge: &str, look: impl FnOnce(&Bridge) -> T) -> Stored<T> {
        Ok(self.state().bridges.get(bridge).map(look).unwrap_or_default())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn receive(&self, body: NewInbox) -> Stored<Received> {
        check_body(&body)?;
        let mut state = self.state();
        let State { ids, bridges } = &mut *state;
        let inbox = &mut bridges.entry(body.bridge.clone()).or_default().inbox;
        if inbox.waiting() as u64 >= self.inbox_rows_max {
            return Err(inbox_full(&body.bridge, self.inbox_rows_max));
        }
        Ok(inbox.receive(body, &mut ids.inbox))
    }

    async fn commit(&self, bridge: &str, changes: Vec<Change>) -> Stored<Vec<ActionId>> {
        changes.iter().try_for_each(check_change)?;
        let mut state = self.state();
        let State { ids, bridges } = &mut *state;
        let bridge = bridges.entry(bridge.to_owned()).or_default();
        Ok(changes.into_iter().filter_map(|change| bridge.apply(change, ids)).collect())
    }

    async fn inbox_due(&self, bridge: &str, now: Millis, clients_max: u32, rows_max: u32) -> Stored<Vec<InboxRow>> {
        self.read(bridge, |bridge| bridge.inbox.due(now, clients_max as usize, rows_max as usize))
    }

    async fn marks_due(&self, bridge: &str, now: Millis, rows_max: u32) -> Stored<Vec<MarkRow>> {
        self.read(bridge, |bridge| {
            let mut marks: Vec<MarkRow> = bridge.marks.values().filter(|row| row.mark.due <= now).copied().collect();
            marks.sort_by_key(|row| (row.mark.due, row.revision));
            marks.truncate(rows_max as usize);
            marks
        })
    }

    async fn claim(&self, bridge: &str, side: Side, now: Millis, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        let mut state = self.state();
        let bridge = state.bridges.get_mut(bridge);
        Ok(bridge.map(|bridge| bridge.outbox.claim(side, now, rows_max as usize)).unwrap_or_default())
    }

    async fn rescue(&self, bridge: &str) -> Stored<u64> {
        Ok(self.state().bridges.get_mut(bridge).map(|bridge| bridge.outbox.rescue()).unwrap_or_default())
    }

    async fn pending(&self, bridge: &str, keys: &[String]) -> Stored<Vec<OutboxRow>> {
        let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        self.read(bridge, |bridge| bridge.outbox.alive(|entry| keys.contains(entry.key.as_str())).cloned().collect())
    }

    async fn pending_named(&self, bridge: &str, name: &str, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.read(bridge, |bridge| {
            let named = bridge.outbox.alive(|entry| entry.row.action.name() == name);
            named.take(rows_max as usize).cloned().collect()
        })
    }

    async fn next_due(&self, bridge: &str) -> Stored<NextDue> {
        self.read(bridge, |bridge| NextDue {
            inbox: bridge.inbox.next_due(),
            marks: bridge.marks.values().map(|row| row.mark.due).min(),
            amo: bridge.outbox.next_due(Side::Amo),
            salebot: bridge.outbox.next_due(Side::Salebot),
        })
    }

    async fn clients(&self, bridge: &str, ids: &[ClientId]) -> Stored<Vec<ClientLink>> {
        self.read(bridge, |bridge| found(&bridge.clients, ids))
    }

    async fn clients_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<ClientLink>> {
        let of = |link: &&ClientLink| link.contact.is_some_and(|id| contacts.contains(&id));
        self.read(bridge, |bridge| bridge.clients.values().filter(of).cloned().collect())
    }

    async fn deals(&self, bridge: &str, leads: &[LeadId]) -> Stored<Vec<DealLink>> {
        self.read(bridge, |bridge| found(&bridge.deals, leads))
    }

    async fn deals_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<DealLink>> {
        let of = |link: &&DealLink| link.contact.is_some_and(|id| contacts.contains(&id));
        self.read(bridge, |bridge| bridge.deals.values().filter(of).cloned().collect())
    }

    async fn deals_of_clients(&self, bridge: &str, clients: &[ClientId]) -> Stored<Vec<DealLink>> {
        let of = |link: &&DealLink| link.client.is_some_and(|id| clients.contains(&id));
        self.read(bridge, |bridge| bridge.deals.values().filter(of).cloned().collect())
    }

    async fn linked_contacts(&self, bridge: &str, after: Option<ContactId>, rows_max: u32) -> Stored<Vec<ContactId>> {
        self.read(bridge, |bridge| {
            let linked: BTreeSet<ContactId> = bridge.clients.values().filter_map(|link| link.contact).collect();
            linked.range((beyond(after), Bound::Unbounded)).take(rows_max as usize).copied().collect()
        })
    }

    async fn deals_after(&self, bridge: &str, after: Option<LeadId>, rows_max: u32) -> Stored<Vec<DealLink>> {
        self.read(bridge, |bridge| {
            let later = bridge.deals.range((beyond(after), Bound::Unbounded));
            later.take(rows_max as usize).map(|(_, link)| link.clone()).collect()
        })
    }

    async fn contacts(&self, bridge: &str, ids: &[ContactId]) -> Stored<Vec<ContactSeen>> {
        self.read(bridge, |bridge| found(&bridge.contacts, ids))
    }

    async fn contacts_by_key(&self, bridge: &str, keys: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>> {
        let pair = |bridge: &Bridge, key: &MatchKey| Some((key.clone(), *bridge.keys.get(key)?));
        self.read(bridge, |bridge| keys.iter().filter_map(|key| pair(bridge, key)).collect())
    }

    async fn cursor(&self, bridge: &str, name: &str) -> Stored<Option<Cursor>> {
        self.read(bridge, |bridge| bridge.cursors.get(name).copied())
    }

    async fn cursors(&self, bridge: &str) -> Stored<Vec<(String, Cursor)>> {
        self.read(bridge, |bridge| bridge.cursors.iter().map(|(name, cursor)| (name.clone(), *cursor)).collect())
    }

    async fn text(&self, bridge: &str, name: &str) -> Stored<Option<String>> {
        self.read(bridge, |bridge| bridge.texts.get(name).cloned())
    }

    async fn journal(&self, bridge: &str, subject: &str, rows_max: u32) -> Stored<Vec<JournalRow>> {
        self.read(bridge, |bridge| {
            let mut rows: Vec<JournalRow> =
                bridge.journal.iter().rev().filter(|row| row.subject == subject).cloned().collect();
            // Stable: of one instant, the line written last comes first.
            rows.sort_by_key(|row| Reverse(row.at));
            rows.truncate(rows_max as usize);
            rows
        })
    }

    async fn dead_letters(&self, bridge: &str, rows_max: u32) -> Stored<Vec<DeadLetter>> {
        self.read(bridge, |bridge| {
            let bodies = bridge.inbox.dead().map(|(id, body)| dead_body(id, body));
            let actions = bridge.outbox.dead().map(dead_action);
            let mut letters: Vec<DeadLetter> = bodies.chain(actions).collect();
            letters.sort_by_key(|letter| (Reverse(letter.died_at), letter.queue, Reverse(letter.id)));
            letters.truncate(rows_max as usize);
            letters
        })
    }

    async fn dead_letter(&self, bridge: &str, queue: &str, id: i64) -> Stored<Option<DeadDetail>> {
        self.read(bridge, |bridge| match queue {
            "inbox" => {
                let (body, bytes) = bridge.inbox.dead_one(id)?;
                Some(DeadDetail { letter: dead_body(id, body), content: DeadContent::Body(bytes.to_vec()) })
            }
            "outbox" => {
                let entry = bridge.outbox.dead().find(|entry| entry.row.id.0 == id)?;
                let content = DeadContent::Action(Box::new(entry.row.clone()));
                Some(DeadDetail { letter: dead_action(entry), content })
            }
            _ => None,
        })
    }

    async fn counts(&self, bridge: &str) -> Stored<Counts> {
        self.read(bridge, |bridge| Counts {
            inbox: bridge.inbox.waiting() as u64,
            marks: bridge.marks.len() as u64,
            outbox: bridge.outbox.alive(|_| true).count() as u64,
            dead_letters: (bridge.inbox.dead().count() + bridge.outbox.dead().count()) as u64,
            links: bridge.clients.values().filter(|link| link.contact.is_some()).count() as u64,
            inbox_oldest: bridge.inbox.oldest(),
            outbox_oldest: bridge.outbox.alive(|_| true).map(|row| row.created_at).min(),
        })
    }

    async fn outbox_waiting(&self, bridge: &str, at_most: u32) -> Stored<u64> {
        self.read(bridge, |bridge| bridge.outbox.alive(|_| true).take(at_most as usize).count() as u64)
    }

    async fn prune(&self, bridge: &str, before: Millis, rows_max: u32) -> Stored<u64> {
        let mut state = self.state();
        let bridge = state.bridges.get_mut(bridge);
        Ok(bridge.map(|bridge| bridge.prune(before, rows_max as usize)).unwrap_or_default())
    }
}

/// From the first one after this.
fn beyond<K>(after: Option<K>) -> Bound<K> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

/// Records by id, each once, in the order of their ids.
fn found<K: Ord + Copy, T: Clone>(all: &BTreeMap<K, T>, ids: &[K]) -> Vec<T> {
    let ids: BTreeSet<K> = ids.iter().copied().collect();
    ids.iter().filter_map(|id| all.get(id)).cloned().collect()
}

fn dead_body(id: i64, body: &Body) -> DeadLetter {
    DeadLetter {
        queue: "inbox",
        id,
        what: source_name(body.source).to_owned(),
        subject: body.client.map_or_else(String::new, |client| format!("client:{client}")),
        reason: body.reason.clone(),
        created_at: body.received_at,
        died_at: body.received_at,
        attempts: 0,
    }
}

fn dead_action(entry: &Entry) -> DeadLetter {
    let row = &entry.row;
    DeadLetter {
        queue: "outbox",
        id: row.id.0,
        what: row.action.name().to_owned(),
        subject: key_subject(&entry.key),
        reason: row.fault.as_ref().map_or_else(String::new, ToString::to_string),
        created_at: row.created_at,
        died_at: entry.died_at,
        attempts: row.attempts,
    }
}

/// Waits or runs.
fn is_alive(row: &OutboxRow) -> bool {
    row.state != ActionState::Dead
}
