//! The outbox: actions are claimed, carried out, and settled. What follows from a fault is
//! `core::retry`'s to decide.
//!
//! - [`amo`], [`salebot`]: carrying out, in batches.
//! - [`lookup`]: was it done? Before anything that must not happen twice is sent again.
//! - [`function`], [`function_end`]: calls of bots, and their answers.
//! - [`under_way`]: what is taken for Salebot, and when.
//! - [`settle`]: the outcome becomes links, bases, and the action's end.

mod amo;
mod fresh;
mod function;
mod function_end;
mod lookup;
mod salebot;
mod settle;
mod under_way;

use super::{Bridge, Step};
use crate::core::action::{Confirm, NoteTarget, Side};
use crate::core::fault::{Fault, FaultKind};
use crate::core::function::Call;
use crate::core::id::{ActionId, ClientId, ContactId, NoteId, OrderId};
use crate::ports::store::{Change, OutboxRow, StoreError, Stored};
pub(super) use fresh::looks_at_once;
use function_end::Ending;
pub(super) use under_way::SALEBOT_OUTBOX;

/// Actions for amoCRM claimed at once; a multiple of the largest batch, so that full batches form.
const CLAIMED_MAX: u32 = 200;

/// What an action came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Outcome {
    /// Done; nothing to remember beyond that.
    Done,
    /// A contact was made, or found to have been made.
    Contact(ContactId),
    /// The contact was there already, made by somebody else.
    Met(ContactId),
    /// A contact was changed; it is expected to have this `updated_at` and fingerprint.
    Changed { version: i64, fingerprint: String },
    /// A lead was changed; it is expected to have this `updated_at`.
    ChangedLead { version: i64 },
    /// A note was written there.
    Note(NoteTarget, NoteId),
    /// An order was made.
    Order(OrderId),
    /// A client was found or made.
    Client(ClientId),
    /// A bot's call goes on: its record was found, or is gone and another one is looked for.
    GoesOn(Box<Call>),
    /// A bot's call has come to its end.
    Ended(Box<Ending>),
    /// It is not needed any more.
    Superfluous,
    /// It failed.
    Failed(Fault),
    /// Somebody changed the record meanwhile. Of an attempt whose outcome was not known, these pairs were written.
    Overtaken(Vec<Confirm>),
    /// Its outcome is still unknown: look again after so many milliseconds.
    Unclear(i64),
    /// What it needs is not there yet: again after so many milliseconds.
    Waits(Fault, i64),
    /// What it needs will not come by itself: a human must look.
    GivenUp(Fault),
    /// It was not its turn after all: an earlier action of its key failed.
    Untouched,
}

impl Bridge {
    /// Carries out what waits for amoCRM, a claim at a time.
    pub(super) async fn amo_step(&self) -> Result<Step, StoreError> {
        if self.ground().is_none() {
            return Ok(Step::Idle(self.until_grounded()));
        }
        let rows = self.claim(Side::Amo, CLAIMED_MAX).await?;
        if rows.is_empty() {
            return self.idle_until(Side::Amo).await;
        }
        let keys: Vec<String> = rows.iter().map(|row| row.action.key()).collect();
        let ids: Vec<ActionId> = rows.iter().map(|row| row.id).collect();
        if let Err(error) = self.execute_amo(rows).await {
            self.put_back(Side::Amo, ids, error).await;
        }
        let mut in_flight = self.in_flight.lock().await;
        for key in &keys {
            in_flight.remove(key);
        }
        Ok(Step::More)
    }

    /// Nothing is due: until when.
    async fn idle_until(&self, side: Side) -> Result<Step, StoreError> {
        let due = self.store().next_due(self.name()).await?;
        let due = if side == Side::Amo { due.amo } else { due.salebot };
        if due.is_none() {
            // What failed was given up, or is not wanted any more: that says nothing against the service.
            self.worked(side.name());
        }
        Ok(Step::Idle(due))
    }

    /// The store failed while actions were under way: what was not settled waits again, in doubt. Until
    /// that is recorded nobody else touches their records.
    async fn put_back(&self, side: Side, ids: Vec<ActionId>, mut error: StoreError) {
        let reason = "the store failed while the action was under way".to_owned();
        let fault = Fault { kind: FaultKind::Uncertain, reason, at: Some(self.now()) };
        loop {
            self.store_failed(side.name(), &error).await;
            let not_before = self.now();
            let retry = |id: &ActionId| Change::ActionRetry {
                id: *id,
                not_before,
                attempts: 0,
                in_doubt: true,
                fault: fault.clone(),
            };
            match self.commit(ids.iter().map(retry).collect()).await {
                Ok(()) => return,
                Err(again) => error = again,
            }
            if self.is_stopping() {
                // The next start finds them under way and looks them up.
                return;
            }
        }
    }

    /// Claims, and from then on keeps plans off the claimed keys.
    async fn claim(&self, side: Side, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        let mut in_flight = self.in_flight.lock().await;
        let rows = self.store().claim(self.name(), side, self.now(), rows_max).await?;
        in_flight.extend(rows.iter().map(|row| row.action.key()));
        Ok(rows)
    }
}
