//! What amoCRM tells on its own account beside webhooks' bodies: its list of events, read now and then, and whether
//! our subscription still stands.

use super::Bridge;
use super::poll::CONTACTS;
use crate::core::fault::{Fault, FaultKind};
use crate::core::hint::{AccountEvent, Destination, Hints, Named, Standing};
use crate::core::id::ContactId;
use crate::core::run::RunKind;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, Cursor, Mark, StoreError, Stored, Subject};
use crate::ports::watch::{AmoWatch, EVENTS_PAGE_MAX, HintReader};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The health part and the cursor of the list of events.
pub(super) const EVENTS: &str = "events";
/// The health part of the subscription.
const WEBHOOKS: &str = "webhooks";
/// Most pages of one reading: thousands of deletions are the sweep's business.
const PAGES_MAX: u32 = 20;
/// How often the list of events is tried again after it was refused: rights and plans change seldom.
const REFUSED_MS: i64 = 6 * 3_600_000;
/// How often the subscription is looked at …
const LOOK_MS: i64 = 3_600_000;
/// … and how soon again after a look that failed, or that found something to complain of.
const LOOK_AGAIN_MS: i64 = 600_000;

/// Where amoCRM tells of changes on its own account.
pub struct Watch {
    /// Reads stored bodies of webhooks.
    pub reader: Arc<dyn HintReader>,
    /// Subscriptions and events of the account.
    pub amo: Arc<dyn AmoWatch>,
    /// Our address, where it is known and a secret is configured: the subscription is looked at.
    pub destination: Option<Destination>,
}

/// Why events were not read.
enum Unread {
    Fault(Fault),
    Store(StoreError),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Unread {
        Unread::Fault(fault)
    }
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Unread {
        Unread::Store(error)
    }
}

impl Bridge {
    /// Deletions, restorations and merges: at the start, then as often as polls look further back.
    pub(super) async fn events_loop(&self) {
        let Some(watch) = &self.watch else { return };
        let every_ms = self.parts.timing.recheck_every_ms;
        while !self.is_stopping() {
            let wait_ms = match self.read_events(watch.amo.as_ref()).await {
                Ok(()) => {
                    self.worked(EVENTS);
                    self.missed_contacts.hears_events(true);
                    every_ms
                }
                Err(Unread::Store(error)) => {
                    self.store_failed(EVENTS, &error).await;
                    every_ms
                }
                Err(Unread::Fault(fault)) => self.events_failed(&fault, every_ms),
            };
            self.pause_until(self.now().plus(wait_ms)).await;
        }
    }

    /// A refusal is no fault of the bridge: what the list would tell, sweep and messages find later.
    fn events_failed(&self, fault: &Fault, every_ms: i64) -> i64 {
        match fault.kind {
            FaultKind::Rejected | FaultKind::Broken | FaultKind::Gone => {
                tracing::info!(
                    bridge = self.name(),
                    "amoCRM's list of events is not available; deleted and merged records are found by webhooks and the sweep: {fault}"
                );
                self.worked(EVENTS);
                self.missed_contacts.hears_events(false);
                REFUSED_MS
            }
            // The polls tell of a token that is not accepted any more, and have it renewed.
            FaultKind::Interrupted | FaultKind::Auth => every_ms,
            _ => {
                self.troubled(EVENTS, fault, "amoCRM's list of events was not read; it is read again");
                every_ms
            }
        }
    }

    /// Everything since the last reading; only a whole one moves the cursor.
    async fn read_events(&self, amo: &dyn AmoWatch) -> Result<(), Unread> {
        let started_at = self.now();
        let cursor = self.store().cursor(self.name(), EVENTS).await?;
        // Before the first whole listing nothing is linked that could be gone.
        let has_begun = self.store().cursor(self.name(), CONTACTS).await?.is_some();
        let Some(cursor) = cursor.filter(|_| has_begun) else {
            return Ok(self.commit(vec![events_cursor(started_at, started_at)]).await?);
        };
        let since = cursor.at.minus(self.parts.timing.overlap_ms);
        let (mut events, mut server_time) = (Vec::new(), None);
        for page in 1..=PAGES_MAX {
            self.go_on()?;
            let read = amo.events(since, page, Priority::Poll).await?;
            server_time = server_time.or(read.server_time);
            events.extend(read.rows);
            if read.received < EVENTS_PAGE_MAX {
                break;
            }
        }
        // The overlap shows events again. A look costs a share of one request, and finds nothing.
        let mut changes = self.event_changes(&events).await?;
        changes.push(events_cursor(server_time.unwrap_or(started_at).min(started_at), started_at));
        Ok(self.commit(changes).await?)
    }

    async fn event_changes(&self, events: &[AccountEvent]) -> Stored<Vec<Change>> {
        let (mut hints, mut merged) = (Hints::default(), BTreeSet::<ContactId>::new());
        for event in events {
            match event.record {
                Named::Contact(id) if event.is_merge => merged.insert(id),
                Named::Contact(id) => hints.contacts.insert(id),
                Named::Lead(id) => hints.leads.insert(id),
            };
        }
        let mut changes = self.hint_marks(&hints);
        if !merged.is_empty() {
            changes.extend(self.remember_merged(&merged).await?);
            // Who is left after a merge may be known as it is; whom it took in is found by a whole look.
            let due = self.now();
            let mark = |id| {
                Change::Mark(Mark { subject: Subject::Contact(id), due, attempts: 0, run: self.run_of(RunKind::Hook) })
            };
            changes.extend(merged.into_iter().map(mark));
        }
        Ok(changes)
    }

    /// Whether amoCRM still posts to us: at the start and every hour.
    pub(super) async fn subscription_loop(&self) {
        let Some((amo, destination)) =
            self.watch.as_ref().and_then(|watch| Some((watch.amo.as_ref(), watch.destination.as_ref()?)))
        else {
            return;
        };
        while !self.is_stopping() {
            let wait_ms = match amo.subscriptions(Priority::Poll).await {
                Ok(all) => match Standing::of(destination, all).complaint(self.name()) {
                    None => {
                        self.worked(WEBHOOKS);
                        LOOK_MS
                    }
                    Some(complaint) => {
                        if self.health.failed(WEBHOOKS, &complaint, self.now()) {
                            tracing::warn!(bridge = self.name(), "{complaint}; until then polls find every change");
                        }
                        LOOK_AGAIN_MS
                    }
                },
                Err(fault) if fault.kind == FaultKind::Interrupted => LOOK_AGAIN_MS,
                Err(fault) => {
                    // Only administrators may see subscriptions: that says nothing of whether ours works.
                    tracing::debug!(bridge = self.name(), %fault, "amoCRM's subscriptions could not be looked at");
                    if fault.kind == FaultKind::Rejected { REFUSED_MS } else { LOOK_AGAIN_MS }
                }
            };
            self.pause_until(self.now().plus(wait_ms)).await;
        }
    }
}

fn events_cursor(at: Millis, moved_at: Millis) -> Change {
    Change::PutCursor(EVENTS, Cursor { at, moved_at })
}
