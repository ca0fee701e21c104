//! What amoCRM tells on its own account, as the engine sees it: webhooks, and the account's list of events.

use crate::core::fault::Fault;
use crate::core::hint::{AccountEvent, Hints, Subscription};
use crate::core::time::Millis;
use crate::ports::remote::{Page, Priority};
use async_trait::async_trait;
use std::collections::BTreeSet;

/// Most events on a page (amoCRM events page).
pub const EVENTS_PAGE_MAX: u32 = 100;

/// Reads stored bodies of amoCRM's webhooks. The inbound adapter provides it.
pub trait HintReader: Send + Sync {
    /// The records a body names; the error names the place and never quotes the content.
    fn hints(&self, body: &[u8]) -> Result<Hints, String>;
}

/// Subscriptions and events of an account. What it refuses says nothing of contacts and leads: neither holds up the
/// account's lane.
#[async_trait]
pub trait AmoWatch: Send + Sync {
    /// All subscriptions of the account, other programs' too.
    async fn subscriptions(&self, priority: Priority) -> Result<Vec<Subscription>, Fault>;

    /// Has these events told to this address. Harmless to repeat.
    async fn subscribe(&self, url: &str, events: &BTreeSet<String>, priority: Priority) -> Result<(), Fault>;

    /// Has these events told to this address no more. Harmless to repeat: one that is not there is no error.
    async fn unsubscribe(&self, url: &str, events: &BTreeSet<String>, priority: Priority) -> Result<(), Fault>;

    /// A page, from 1, of what was deleted, restored and merged since then.
    async fn events(&self, since: Millis, page: u32, priority: Priority) -> Result<Page<AccountEvent>, Fault>;
}
