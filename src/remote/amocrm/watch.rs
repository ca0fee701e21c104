//! What an account tells on its own account: subscriptions to webhooks in either version of the API, and the list of
//! events, which only v4 has and which is there for accounts spoken to through v2 too.
//!
//! What is refused here says nothing of contacts and leads: a plan without webhooks, a user who is no administrator.
//! So a refusal of the kind that closes the account's lane elsewhere leaves it open; a token that is not accepted any
//! more is found out with the next poll.

use super::fault;
use super::loose::{List, Text, Whole};
use super::page::{self, Wire};
use crate::core::fault::{Fault, FaultKind};
use crate::core::hint::{AccountEvent, Named, Subscription};
use crate::core::id::{ContactId, LeadId};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::{Page, Priority};
use crate::ports::watch::{AmoWatch, EVENTS_PAGE_MAX};
use crate::remote::http::{Body, Call, Credentials, Method, RawAnswer, Sender, Transport};
use crate::remote::lane::{Lane, Outcome};
use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

const V2: &str = "/api/v2/webhooks";
const V2_SUBSCRIBE: &str = "/api/v2/webhooks/subscribe";
const V2_UNSUBSCRIBE: &str = "/api/v2/webhooks/unsubscribe";
const V4: &str = "/api/v4/webhooks";
const EVENTS: &str = "/api/v4/events";
/// What is asked for of the list of events: all else is told by polls and webhooks.
const KINDS: [&str; 5] = ["contact_deleted", "lead_deleted", "entity_merged", "contact_restored", "lead_restored"];

/// Which version manages subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/api/v2/webhooks`
    V2,
    /// `/api/v4/webhooks`
    V4,
}

/// Subscriptions and events of an account.
#[derive(Debug)]
pub struct Watcher {
    sender: Sender,
    dialect: Dialect,
}

impl Watcher {
    /// `url` is the account's address, `https://example.amocrm.ru`; `lane` the account's own.
    pub fn new(
        url: &str,
        dialect: Dialect,
        credentials: Arc<dyn Credentials>,
        transport: Arc<dyn Transport>,
        lane: Arc<Lane>,
        env: Arc<dyn Env>,
    ) -> Watcher {
        let base = SecretString::from(url.trim_end_matches('/'));
        Watcher { sender: Sender::new("amocrm", base, credentials, transport, lane, env, aside), dialect }
    }

    /// Sends and returns the answer unless it is a fault. `missing`: nothing there is no fault.
    async fn send(&self, call: Call, missing: bool) -> Result<RawAnswer, Fault> {
        let answer = self.sender.call(call).await?;
        if missing && answer.status == 404 {
            return Ok(answer);
        }
        match fault::fault(&answer, true, self.sender.now()) {
            Some(fault) => Err(without_features(&answer, fault)),
            None => Ok(answer),
        }
    }

    /// v2 answers each item with a `result` (v2 webhooks page).
    async fn change_v2(
        &self,
        path: &'static str,
        verb: &'static str,
        url: &str,
        events: &BTreeSet<String>,
        priority: Priority,
    ) -> Result<bool, Fault> {
        let body = json!({ verb: [{ "url": url, "events": events }] });
        let answer = self.send(Call::post(path, path, body.to_string().into_bytes(), priority, true), false).await?;
        let results = page::page::<ResultRow>(&answer, "items")?.rows;
        Ok(results.iter().all(|done| *done))
    }
}

/// A status that means "not for this account" is a refusal, whatever it means elsewhere.
fn without_features(answer: &RawAnswer, fault: Fault) -> Fault {
    match (answer.status, &fault.kind) {
        (402 | 403 | 404 | 405 | 425 | 426 | 501, FaultKind::Auth | FaultKind::Broken | FaultKind::Rejected) => {
            Fault { kind: FaultKind::Rejected, reason: format!("status {}: {}", answer.status, fault.reason), ..fault }
        }
        _ => fault,
    }
}

/// How the account stands after an answer: only what concerns every request counts.
fn aside(answer: &RawAnswer, now: Millis) -> Outcome {
    match fault::outcome(answer, now) {
        Outcome::Auth => Outcome::Unclear,
        outcome => outcome,
    }
}

/// A subscription (v2: `url`, `events`; v4: `destination`, `settings`).
#[derive(Deserialize)]
struct SubscriptionRow {
    #[serde(default, alias = "destination")]
    url: Text,
    #[serde(default, alias = "settings")]
    events: List<Text>,
    #[serde(default)]
    disabled: Whole,
}

impl Wire for SubscriptionRow {
    type Record = Subscription;

    fn record(self) -> Result<Subscription, String> {
        let url = self.url.filled().ok_or("the address is missing")?;
        let events = self.events.0.into_iter().filter_map(Text::filled).collect();
        Ok(Subscription { url, events, is_disabled: self.disabled.0.is_some_and(|flag| flag != 0) })
    }
}

/// What became of one item of a change in v2; without a word it was done.
#[derive(Deserialize)]
struct ResultRow {
    #[serde(default)]
    result: Whole,
}

impl Wire for ResultRow {
    type Record = bool;

    fn record(self) -> Result<bool, String> {
        Ok(self.result.0.is_none_or(|flag| flag != 0))
    }
}

/// An event; its own id is a text and of no use.
#[derive(Deserialize)]
struct EventRow {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    entity_id: Whole,
    #[serde(default)]
    entity_type: Text,
    #[serde(default)]
    created_at: Whole,
}

impl Wire for EventRow {
    type Record = Option<AccountEvent>;

    /// None for an event about something else, or of a kind that was not asked for: filters may be ignored.
    fn record(self) -> Result<Option<AccountEvent>, String> {
        let id = self.entity_id.positive().ok_or("the record's id is missing")?;
        let kind = self.kind.or_empty();
        let record = match self.entity_type.or_empty().as_str() {
            "contact" | "contacts" => Named::Contact(ContactId(id)),
            "lead" | "leads" => Named::Lead(LeadId(id)),
            _ => return Ok(None),
        };
        let event = AccountEvent { record, is_merge: kind == "entity_merged", at: self.created_at.seconds() };
        Ok(KINDS.contains(&kind.as_str()).then_some(event))
    }
}

#[async_trait]
impl AmoWatch for Watcher {
    async fn subscriptions(&self, priority: Priority) -> Result<Vec<Subscription>, Fault> {
        let (path, list) = match self.dialect {
            Dialect::V2 => (V2, "items"),
            Dialect::V4 => (V4, "webhooks"),
        };
        let answer = self.send(Call::get(path, path, priority), false).await?;
        Ok(page::page::<SubscriptionRow>(&answer, list)?.rows)
    }

    async fn subscribe(&self, url: &str, events: &BTreeSet<String>, priority: Priority) -> Result<(), Fault> {
        let done = match self.dialect {
            Dialect::V2 => self.change_v2(V2_SUBSCRIBE, "subscribe", url, events, priority).await?,
            Dialect::V4 => {
                let body = json!({ "destination": url, "settings": events, "sort": 10 });
                self.send(Call::post(V4, V4, body.to_string().into_bytes(), priority, true), false).await?;
                true
            }
        };
        if done { Ok(()) } else { Err(Fault::new(FaultKind::Rejected, "amoCRM does not take this address")) }
    }

    async fn unsubscribe(&self, url: &str, events: &BTreeSet<String>, priority: Priority) -> Result<(), Fault> {
        match self.dialect {
            // What is not there cannot be taken away, and is answered with `false`.
            Dialect::V2 => {
                self.change_v2(V2_UNSUBSCRIBE, "unsubscribe", url, events, priority).await?;
            }
            Dialect::V4 => {
                let body = Body::Json(json!({ "destination": url }).to_string().into_bytes());
                let call = Call { method: Method::Delete, body, ..Call::get(V4, V4, priority) };
                self.send(call, true).await?;
            }
        }
        Ok(())
    }

    async fn events(&self, since: Millis, page: u32, priority: Priority) -> Result<Page<AccountEvent>, Fault> {
        let mut query: Vec<(String, String)> =
            KINDS.iter().map(|kind| ("filter[type][]".to_owned(), (*kind).to_owned())).collect();
        query.extend([
            ("filter[created_at][from]".to_owned(), since.seconds().to_string()),
            ("limit".to_owned(), EVENTS_PAGE_MAX.to_string()),
            ("page".to_owned(), page.to_string()),
        ]);
        let answer = self.send(Call { query, ..Call::get(EVENTS, EVENTS, priority) }, false).await?;
        let page = page::page::<EventRow>(&answer, "events")?;
        let rows = page.rows.into_iter().flatten().filter(|event| event.at >= since.seconds()).collect();
        Ok(Page { rows, broken: page.broken, received: page.received, server_time: page.server_time })
    }
}
