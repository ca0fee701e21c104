//! A store that fails now and then, as one does whose disk is full.

use crate::clock::Random;
use crate::kept::Kept;
use crate::points::Points;
use crate::tally::Tally;
use async_trait::async_trait;
use salebridge::core::action::Side;
use salebridge::core::id::{ActionId, ClientId, ContactId, LeadId};
use salebridge::core::link::{ClientLink, ContactSeen, DealLink};
use salebridge::core::people::MatchKey;
use salebridge::core::time::Millis;
use salebridge::ports::store::{
    Change, Counts, Cursor, DeadDetail, DeadLetter, InboxRow, JournalRow, MarkRow, NewInbox, NextDue, OutboxRow,
    Received, Store, StoreError, Stored,
};
use std::sync::{Arc, Mutex};

/// A store, failing in some per mille of the calls until it is mended.
pub struct Flaky {
    points: Arc<Points>,
    tally: Arc<Tally>,
    inner: Arc<Kept>,
    random: Mutex<Random>,
    per_mille: Mutex<u64>,
    failures: Mutex<u64>,
}

impl Flaky {
    pub fn new(inner: Arc<Kept>, points: Arc<Points>, tally: Arc<Tally>, random: Random, per_mille: u64) -> Flaky {
        Flaky {
            points,
            tally,
            inner,
            random: Mutex::new(random),
            per_mille: Mutex::new(per_mille),
            failures: Mutex::new(0),
        }
    }

    /// From now on there is room.
    pub fn mend(&self) {
        *self.per_mille.lock().unwrap() = 0;
    }

    /// Calls that failed so far.
    pub fn failures(&self) -> u64 {
        *self.failures.lock().unwrap()
    }

    async fn enter(&self) -> Stored<()> {
        self.points.pass().await;
        if self.random.lock().unwrap().below(1_000) < *self.per_mille.lock().unwrap() {
            *self.failures.lock().unwrap() += 1;
            return Err(StoreError::Full("no space left".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Flaky {
    async fn receive(&self, body: NewInbox) -> Stored<Received> {
        self.enter().await?;
        let answer = self.inner.wait(self.inner.store.receive(body));
        self.points.pass().await;
        answer
    }

    async fn commit(&self, bridge: &str, changes: Vec<Change>) -> Stored<Vec<ActionId>> {
        self.enter().await?;
        self.tally.committed(&changes);
        let answer = self.inner.wait(self.inner.store.commit(bridge, changes));
        self.points.pass().await;
        answer
    }

    async fn inbox_due(&self, bridge: &str, now: Millis, clients_max: u32, rows_max: u32) -> Stored<Vec<InboxRow>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.inbox_due(bridge, now, clients_max, rows_max))
    }

    async fn marks_due(&self, bridge: &str, now: Millis, rows_max: u32) -> Stored<Vec<MarkRow>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.marks_due(bridge, now, rows_max))
    }

    async fn claim(&self, bridge: &str, side: Side, now: Millis, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.enter().await?;
        let answer = self.inner.wait(self.inner.store.claim(bridge, side, now, rows_max));
        if let Ok(rows) = &answer {
            self.tally.claimed(rows);
        }
        self.points.pass().await;
        answer
    }

    async fn rescue(&self, bridge: &str) -> Stored<u64> {
        self.enter().await?;
        let answer = self.inner.wait(self.inner.store.rescue(bridge));
        self.points.pass().await;
        answer
    }

    async fn pending(&self, bridge: &str, keys: &[String]) -> Stored<Vec<OutboxRow>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.pending(bridge, keys))
    }

    async fn pending_named(&self, bridge: &str, name: &str, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.pending_named(bridge, name, rows_max))
    }

    async fn next_due(&self, bridge: &str) -> Stored<NextDue> {
        self.enter().await?;
        self.inner.wait(self.inner.store.next_due(bridge))
    }

    async fn clients(&self, bridge: &str, ids: &[ClientId]) -> Stored<Vec<ClientLink>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.clients(bridge, ids))
    }

    async fn clients_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<ClientLink>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.clients_of(bridge, contacts))
    }

    async fn deals(&self, bridge: &str, leads: &[LeadId]) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.deals(bridge, leads))
    }

    async fn deals_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.deals_of(bridge, contacts))
    }

    async fn deals_of_clients(&self, bridge: &str, clients: &[ClientId]) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.deals_of_clients(bridge, clients))
    }

    async fn contacts(&self, bridge: &str, ids: &[ContactId]) -> Stored<Vec<ContactSeen>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.contacts(bridge, ids))
    }

    async fn contacts_by_key(&self, bridge: &str, keys: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.contacts_by_key(bridge, keys))
    }

    async fn cursor(&self, bridge: &str, name: &str) -> Stored<Option<Cursor>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.cursor(bridge, name))
    }

    async fn cursors(&self, bridge: &str) -> Stored<Vec<(String, Cursor)>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.cursors(bridge))
    }

    async fn text(&self, bridge: &str, name: &str) -> Stored<Option<String>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.text(bridge, name))
    }

    async fn journal(&self, bridge: &str, subject: &str, rows_max: u32) -> Stored<Vec<JournalRow>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.journal(bridge, subject, rows_max))
    }

    async fn dead_letters(&self, bridge: &str, rows_max: u32) -> Stored<Vec<DeadLetter>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.dead_letters(bridge, rows_max))
    }

    async fn counts(&self, bridge: &str) -> Stored<Counts> {
        self.enter().await?;
        self.inner.wait(self.inner.store.counts(bridge))
    }

    async fn outbox_waiting(&self, bridge: &str, at_most: u32) -> Stored<u64> {
        self.enter().await?;
        self.inner.wait(self.inner.store.outbox_waiting(bridge, at_most))
    }

    async fn prune(&self, bridge: &str, before: Millis, rows_max: u32) -> Stored<u64> {
        self.enter().await?;
        self.inner.wait(self.inner.store.prune(bridge, before, rows_max))
    }

    async fn linked_contacts(&self, bridge: &str, after: Option<ContactId>, rows_max: u32) -> Stored<Vec<ContactId>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.linked_contacts(bridge, after, rows_max))
    }

    async fn deals_after(&self, bridge: &str, after: Option<LeadId>, rows_max: u32) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.deals_after(bridge, after, rows_max))
    }

    async fn dead_letter(&self, bridge: &str, queue: &str, id: i64) -> Stored<Option<DeadDetail>> {
        self.enter().await?;
        self.inner.wait(self.inner.store.dead_letter(bridge, queue, id))
    }
}
