//! A store that takes pushed bodies, and waits or fails when told to.

use async_trait::async_trait;
use salebridge::core::action::Side;
use salebridge::core::id::{ActionId, ClientId, ContactId, InboxId, LeadId};
use salebridge::core::link::{ClientLink, ContactSeen, DealLink};
use salebridge::core::people::MatchKey;
use salebridge::core::time::Millis;
use salebridge::ports::store::{
    Change, Counts, Cursor, DeadDetail, DeadLetter, InboxRow, JournalRow, MarkRow, NewInbox, NextDue, OutboxRow,
    Received, Store, StoreError, Stored,
};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, Semaphore, watch};

/// What becomes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Stored at once.
    Takes,
    /// Stored when a permit is added to `gate`.
    Waits,
    /// Refused.
    Full,
    /// A fault of ours.
    Panics,
}

/// The double.
pub struct InboxDouble {
    pub mood: Mutex<Mood>,
    pub gate: Semaphore,
    /// Notified when a body has come in, before it is stored.
    pub entered: Notify,
    rows: watch::Sender<Vec<NewInbox>>,
}

impl InboxDouble {
    pub fn new(mood: Mood) -> InboxDouble {
        let (rows, _) = watch::channel(Vec::new());
        InboxDouble { mood: Mutex::new(mood), gate: Semaphore::new(0), entered: Notify::new(), rows }
    }

    /// Everything stored so far.
    pub fn rows(&self) -> Vec<NewInbox> {
        self.rows.borrow().clone()
    }

    /// Comes back when so many bodies are stored.
    pub async fn stored(&self, count: usize) -> Vec<NewInbox> {
        let mut rows = self.rows.subscribe();
        let rows = rows.wait_for(|rows| rows.len() >= count).await.expect("the double lives");
        rows.clone()
    }

    fn keep(&self, body: NewInbox) -> Received {
        let mut received = Received::Known;
        self.rows.send_modify(|rows| {
            let is_known = |row: &NewInbox| row.bridge == body.bridge && row.dedupe == body.dedupe;
            if body.dedupe.is_none() || !rows.iter().any(is_known) {
                rows.push(body);
                received = Received::Stored(InboxId(i64::try_from(rows.len()).expect("few rows")));
            }
        });
        received
    }
}

/// These tests never get here.
fn absent<T>() -> Stored<T> {
    Err(StoreError::Unavailable("the double only takes bodies".to_owned()))
}

#[async_trait]
impl Store for InboxDouble {
    async fn receive(&self, body: NewInbox) -> Stored<Received> {
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        self.entered.notify_one();
        match mood {
            Mood::Takes => {}
            Mood::Waits => self.gate.acquire().await.expect("the gate stays").forget(),
            Mood::Full => return Err(StoreError::Full("0 bytes left".to_owned())),
            Mood::Panics => panic!("the store is broken"),
        }
        Ok(self.keep(body))
    }

    async fn commit(&self, _: &str, _: Vec<Change>) -> Stored<Vec<ActionId>> {
        absent()
    }

    async fn inbox_due(&self, _: &str, _: Millis, _: u32, _: u32) -> Stored<Vec<InboxRow>> {
        absent()
    }

    async fn marks_due(&self, _: &str, _: Millis, _: u32) -> Stored<Vec<MarkRow>> {
        absent()
    }

    async fn claim(&self, _: &str, _: Side, _: Millis, _: u32) -> Stored<Vec<OutboxRow>> {
        absent()
    }

    async fn rescue(&self, _: &str) -> Stored<u64> {
        absent()
    }

    async fn pending(&self, _: &str, _: &[String]) -> Stored<Vec<OutboxRow>> {
        absent()
    }

    async fn pending_named(&self, _: &str, _: &str, _: u32) -> Stored<Vec<OutboxRow>> {
        absent()
    }

    async fn next_due(&self, _: &str) -> Stored<NextDue> {
        absent()
    }

    async fn clients(&self, _: &str, _: &[ClientId]) -> Stored<Vec<ClientLink>> {
        absent()
    }

    async fn clients_of(&self, _: &str, _: &[ContactId]) -> Stored<Vec<ClientLink>> {
        absent()
    }

    async fn deals(&self, _: &str, _: &[LeadId]) -> Stored<Vec<DealLink>> {
        absent()
    }

    async fn deals_of(&self, _: &str, _: &[ContactId]) -> Stored<Vec<DealLink>> {
        absent()
    }

    async fn deals_of_clients(&self, _: &str, _: &[ClientId]) -> Stored<Vec<DealLink>> {
        absent()
    }

    async fn linked_contacts(&self, _: &str, _: Option<ContactId>, _: u32) -> Stored<Vec<ContactId>> {
        absent()
    }

    async fn deals_after(&self, _: &str, _: Option<LeadId>, _: u32) -> Stored<Vec<DealLink>> {
        absent()
    }

    async fn dead_letter(&self, _: &str, _: &str, _: i64) -> Stored<Option<DeadDetail>> {
        absent()
    }

    async fn contacts(&self, _: &str, _: &[ContactId]) -> Stored<Vec<ContactSeen>> {
        absent()
    }

    async fn contacts_by_key(&self, _: &str, _: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>> {
        absent()
    }

    async fn cursor(&self, _: &str, _: &str) -> Stored<Option<Cursor>> {
        absent()
    }

    async fn cursors(&self, _: &str) -> Stored<Vec<(String, Cursor)>> {
        absent()
    }

    async fn text(&self, _: &str, _: &str) -> Stored<Option<String>> {
        absent()
    }

    async fn journal(&self, _: &str, _: &str, _: u32) -> Stored<Vec<JournalRow>> {
        absent()
    }

    async fn dead_letters(&self, _: &str, _: u32) -> Stored<Vec<DeadLetter>> {
        absent()
    }

    async fn counts(&self, _: &str) -> Stored<Counts> {
        absent()
    }

    async fn outbox_waiting(&self, _: &str, _: u32) -> Stored<u64> {
        absent()
    }

    async fn prune(&self, _: &str, _: Millis, _: u32) -> Stored<u64> {
        absent()
    }
}
