//! A store that fails now and then, as one does whose disk is full.

use crate::clock::Random;
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
use salebridge::store::memory::MemoryStore;
use std::sync::{Arc, Mutex};

/// The memory store, failing in some per mille of the calls until it is mended.
pub struct Flaky {
    points: Arc<Points>,
    tally: Arc<Tally>,
    inner: Arc<MemoryStore>,
    random: Mutex<Random>,
    per_mille: Mutex<u64>,
    failures: Mutex<u64>,
}

impl Flaky {
    pub fn new(
        inner: Arc<MemoryStore>,
        points: Arc<Points>,
        tally: Arc<Tally>,
        random: Random,
        per_mille: u64,
    ) -> Flaky {
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
        let answer = self.inner.receive(body).await;
        self.points.pass().await;
        answer
    }

    async fn commit(&self, bridge: &str, changes: Vec<Change>) -> Stored<Vec<ActionId>> {
        self.enter().await?;
        self.tally.committed(&changes);
        let answer = self.inner.commit(bridge, changes).await;
        self.points.pass().await;
        answer
    }

    async fn inbox_due(&self, bridge: &str, now: Millis, clients_max: u32, rows_max: u32) -> Stored<Vec<InboxRow>> {
        self.enter().await?;
        self.inner.inbox_due(bridge, now, clients_max, rows_max).await
    }

    async fn marks_due(&self, bridge: &str, now: Millis, rows_max: u32) -> Stored<Vec<MarkRow>> {
        self.enter().await?;
        self.inner.marks_due(bridge, now, rows_max).await
    }

    async fn claim(&self, bridge: &str, side: Side, now: Millis, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.enter().await?;
        let answer = self.inner.claim(bridge, side, now, rows_max).await;
        if let Ok(rows) = &answer {
            self.tally.claimed(rows);
        }
        self.points.pass().await;
        answer
    }

    async fn rescue(&self, bridge: &str) -> Stored<u64> {
        self.enter().await?;
        let answer = self.inner.rescue(bridge).await;
        self.points.pass().await;
        answer
    }

    async fn pending(&self, bridge: &str, keys: &[String]) -> Stored<Vec<OutboxRow>> {
        self.enter().await?;
        self.inner.pending(bridge, keys).await
    }

    async fn pending_named(&self, bridge: &str, name: &str, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.enter().await?;
        self.inner.pending_named(bridge, name, rows_max).await
    }

    async fn next_due(&self, bridge: &str) -> Stored<NextDue> {
        self.enter().await?;
        self.inner.next_due(bridge).await
    }

    async fn clients(&self, bridge: &str, ids: &[ClientId]) -> Stored<Vec<ClientLink>> {
        self.enter().await?;
        self.inner.clients(bridge, ids).await
    }

    async fn clients_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<ClientLink>> {
        self.enter().await?;
        self.inner.clients_of(bridge, contacts).await
    }

    async fn deals(&self, bridge: &str, leads: &[LeadId]) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.deals(bridge, leads).await
    }

    async fn deals_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.deals_of(bridge, contacts).await
    }

    async fn contacts(&self, bridge: &str, ids: &[ContactId]) -> Stored<Vec<ContactSeen>> {
        self.enter().await?;
        self.inner.contacts(bridge, ids).await
    }

    async fn contacts_by_key(&self, bridge: &str, keys: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>> {
        self.enter().await?;
        self.inner.contacts_by_key(bridge, keys).await
    }

    async fn cursor(&self, bridge: &str, name: &str) -> Stored<Option<Cursor>> {
        self.enter().await?;
        self.inner.cursor(bridge, name).await
    }

    async fn cursors(&self, bridge: &str) -> Stored<Vec<(String, Cursor)>> {
        self.enter().await?;
        self.inner.cursors(bridge).await
    }

    async fn text(&self, bridge: &str, name: &str) -> Stored<Option<String>> {
        self.enter().await?;
        self.inner.text(bridge, name).await
    }

    async fn journal(&self, bridge: &str, subject: &str, rows_max: u32) -> Stored<Vec<JournalRow>> {
        self.enter().await?;
        self.inner.journal(bridge, subject, rows_max).await
    }

    async fn dead_letters(&self, bridge: &str, rows_max: u32) -> Stored<Vec<DeadLetter>> {
        self.enter().await?;
        self.inner.dead_letters(bridge, rows_max).await
    }

    async fn counts(&self, bridge: &str) -> Stored<Counts> {
        self.enter().await?;
        self.inner.counts(bridge).await
    }

    async fn prune(&self, bridge: &str, before: Millis, rows_max: u32) -> Stored<u64> {
        self.enter().await?;
        self.inner.prune(bridge, before, rows_max).await
    }

    async fn linked_contacts(&self, bridge: &str, after: Option<ContactId>, rows_max: u32) -> Stored<Vec<ContactId>> {
        self.enter().await?;
        self.inner.linked_contacts(bridge, after, rows_max).await
    }

    async fn deals_after(&self, bridge: &str, after: Option<LeadId>, rows_max: u32) -> Stored<Vec<DealLink>> {
        self.enter().await?;
        self.inner.deals_after(bridge, after, rows_max).await
    }

    async fn dead_letter(&self, bridge: &str, queue: &str, id: i64) -> Stored<Option<DeadDetail>> {
        self.enter().await?;
        self.inner.dead_letter(bridge, queue, id).await
    }
}
