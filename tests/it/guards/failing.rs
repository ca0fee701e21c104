//! A store that fails right after an answer was recorded, as one does whose disk or server has just gone.

use async_trait::async_trait;
use salebridge::core::action::Side;
use salebridge::core::function::TOLD;
use salebridge::core::id::{ActionId, ClientId, ContactId, LeadId};
use salebridge::core::link::{ClientLink, ContactSeen, DealLink};
use salebridge::core::people::MatchKey;
use salebridge::core::time::Millis;
use salebridge::ports::store::{
    Change, Counts, Cursor, DeadDetail, DeadLetter, InboxRow, JournalRow, MarkRow, NewInbox, NextDue, OutboxRow,
    Received, Store, StoreError, Stored,
};
use salebridge::store::memory::MemoryStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Fails some readings of the journal after each commit that tells an answer, and the next commit.
pub struct Failing {
    inner: Arc<MemoryStore>,
    journals: AtomicU32,
    commits: AtomicU32,
}

impl Failing {
    pub fn new(inner: Arc<MemoryStore>) -> Failing {
        Failing { inner, journals: AtomicU32::new(0), commits: AtomicU32::new(0) }
    }
}

fn is_spent(left: &AtomicU32) -> Stored<()> {
    match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
        Ok(_) => Err(StoreError::Unavailable("it has just gone".to_owned())),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl Store for Failing {
    async fn receive(&self, body: NewInbox) -> Stored<Received> {
        self.inner.receive(body).await
    }

    async fn commit(&self, bridge: &str, changes: Vec<Change>) -> Stored<Vec<ActionId>> {
        let tells = changes.iter().any(|change| matches!(change, Change::Journal(entry) if entry.kind == TOLD));
        let is_late = changes.iter().any(|change| matches!(change, Change::AddAction(_)));
        if is_late {
            is_spent(&self.commits)?;
        }
        let answer = self.inner.commit(bridge, changes).await?;
        if tells {
            self.journals.store(2, Ordering::Relaxed);
            self.commits.store(1, Ordering::Relaxed);
        }
        Ok(answer)
    }

    async fn inbox_due(&self, bridge: &str, now: Millis, clients_max: u32, rows_max: u32) -> Stored<Vec<InboxRow>> {
        self.inner.inbox_due(bridge, now, clients_max, rows_max).await
    }

    async fn marks_due(&self, bridge: &str, now: Millis, rows_max: u32) -> Stored<Vec<MarkRow>> {
        self.inner.marks_due(bridge, now, rows_max).await
    }

    async fn claim(&self, bridge: &str, side: Side, now: Millis, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.inner.claim(bridge, side, now, rows_max).await
    }

    async fn rescue(&self, bridge: &str) -> Stored<u64> {
        self.inner.rescue(bridge).await
    }

    async fn pending(&self, bridge: &str, keys: &[String]) -> Stored<Vec<OutboxRow>> {
        self.inner.pending(bridge, keys).await
    }

    async fn pending_named(&self, bridge: &str, name: &str, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.inner.pending_named(bridge, name, rows_max).await
    }

    async fn next_due(&self, bridge: &str) -> Stored<NextDue> {
        self.inner.next_due(bridge).await
    }

    async fn clients(&self, bridge: &str, ids: &[ClientId]) -> Stored<Vec<ClientLink>> {
        self.inner.clients(bridge, ids).await
    }

    async fn clients_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<ClientLink>> {
        self.inner.clients_of(bridge, contacts).await
    }

    async fn deals(&self, bridge: &str, leads: &[LeadId]) -> Stored<Vec<DealLink>> {
        self.inner.deals(bridge, leads).await
    }

    async fn deals_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<DealLink>> {
        self.inner.deals_of(bridge, contacts).await
    }

    async fn deals_of_clients(&self, bridge: &str, clients: &[ClientId]) -> Stored<Vec<DealLink>> {
        self.inner.deals_of_clients(bridge, clients).await
    }

    async fn contacts(&self, bridge: &str, ids: &[ContactId]) -> Stored<Vec<ContactSeen>> {
        self.inner.contacts(bridge, ids).await
    }

    async fn contacts_by_key(&self, bridge: &str, keys: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>> {
        self.inner.contacts_by_key(bridge, keys).await
    }

    async fn cursor(&self, bridge: &str, name: &str) -> Stored<Option<Cursor>> {
        self.inner.cursor(bridge, name).await
    }

    async fn cursors(&self, bridge: &str) -> Stored<Vec<(String, Cursor)>> {
        self.inner.cursors(bridge).await
    }

    async fn text(&self, bridge: &str, name: &str) -> Stored<Option<String>> {
        self.inner.text(bridge, name).await
    }

    async fn journal(&self, bridge: &str, subject: &str, rows_max: u32) -> Stored<Vec<JournalRow>> {
        is_spent(&self.journals)?;
        self.inner.journal(bridge, subject, rows_max).await
    }

    async fn dead_letters(&self, bridge: &str, rows_max: u32) -> Stored<Vec<DeadLetter>> {
        self.inner.dead_letters(bridge, rows_max).await
    }

    async fn counts(&self, bridge: &str) -> Stored<Counts> {
        self.inner.counts(bridge).await
    }

    async fn outbox_waiting(&self, bridge: &str, at_most: u32) -> Stored<u64> {
        self.inner.outbox_waiting(bridge, at_most).await
    }

    async fn prune(&self, bridge: &str, before: Millis, rows_max: u32) -> Stored<u64> {
        self.inner.prune(bridge, before, rows_max).await
    }

    async fn linked_contacts(&self, bridge: &str, after: Option<ContactId>, rows_max: u32) -> Stored<Vec<ContactId>> {
        self.inner.linked_contacts(bridge, after, rows_max).await
    }

    async fn deals_after(&self, bridge: &str, after: Option<LeadId>, rows_max: u32) -> Stored<Vec<DealLink>> {
        self.inner.deals_after(bridge, after, rows_max).await
    }

    async fn dead_letter(&self, bridge: &str, queue: &str, id: i64) -> Stored<Option<DeadDetail>> {
        self.inner.dead_letter(bridge, queue, id).await
    }
}
