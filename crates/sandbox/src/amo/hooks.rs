//! Webhooks: who is subscribed, what is on its way to them, and what becomes of it (amoCRM webhooks pages).
//!
//! An answer from 100 to 299 within two seconds is a good one. After any other the webhook is posted again: twice more,
//! and after 499 and 5xx, or none at all, four times. Too many bad answers switch a subscription off.

pub(super) mod body;
pub(super) mod manage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::options::HookOptions;
use crate::server::OutgoingWebhook;

/// Deliveries that wait; more are dropped, oldest first.
const QUEUE_MAX: usize = 10_000;

/// A misfortune of one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFault {
    /// It is never posted.
    Lost,
    /// It is posted twice.
    Doubled,
    /// It is posted so much later.
    Late {
        /// In milliseconds.
        ms: i64,
    },
    /// It waits for the next one to the same address, and both are one.
    Merged,
}

/// How webhooks went so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookCounts {
    /// Attempts that left.
    pub posted: u64,
    /// Answered well.
    pub delivered: u64,
    /// Attempts with a bad answer or none.
    pub bad: u64,
    /// Given up after the last attempt, or because the address was switched off.
    pub given_up: u64,
}

/// One thing a subscriber is told: an event, and what its body holds of it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    event: String,
    /// `contacts` and `update`; none: the pairs are the whole body.
    list: Option<(&'static str, &'static str)>,
    pairs: Vec<(String, String)>,
    is_bare: bool,
}

impl Item {
    /// A body as it is.
    pub(super) fn whole(event: &str, pairs: Vec<(String, String)>) -> Self {
        Item { event: event.to_owned(), list: None, pairs, is_bare: false }
    }
}

#[derive(Debug)]
struct Subscription {
    id: u64,
    events: BTreeSet<String>,
    is_off: bool,
    created_at: i64,
    updated_at: i64,
    bad_ms: VecDeque<i64>,
}

#[derive(Debug, Clone)]
struct Delivery {
    id: i64,
    destination: String,
    items: Vec<Item>,
    attempt: usize,
    due_ms: i64,
    request_id: String,
}

/// Subscriptions and deliveries of an account.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    all: BTreeMap<String, Subscription>,
    waiting: VecDeque<Delivery>,
    under_way: BTreeMap<i64, Delivery>,
    held: BTreeMap<String, Vec<Item>>,
    misfortunes: VecDeque<HookFault>,
    counts: HookCounts,
    next_id: i64,
}

impl Hooks {
    pub(super) fn counts(&self) -> HookCounts {
        self.counts
    }

    pub(super) fn spoil(&mut self, fault: HookFault) {
        self.misfortunes.push_back(fault);
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = (&str, Vec<&str>, bool)> {
        self.all.iter().map(|(url, one)| (url.as_str(), one.events.iter().map(String::as_str).collect(), one.is_off))
    }

    pub(super) fn switch(&mut self, destination: &str, is_on: bool) {
        if let Some(subscription) = self.all.get_mut(destination) {
            subscription.is_off = !is_on;
            subscription.bad_ms.clear();
        }
    }

    /// Subscribes an address, or changes what it is told of.
    pub(super) fn subscribe(
        &mut self,
        now_ms: i64,
        destination: &str,
        events: impl Iterator<Item = String>,
        switches_on: bool,
    ) {
        let (now_s, id) = (now_ms.div_euclid(1_000), 900_000 + self.all.len() as u64);
        let one = self.all.entry(destination.to_owned()).or_insert_with(|| Subscription {
            id,
            events: BTreeSet::new(),
            is_off: false,
            created_at: now_s,
            updated_at: now_s,
            bad_ms: VecDeque::new(),
        });
        one.events = events.collect();
        one.updated_at = now_s;
        one.is_off &= !switches_on;
    }

    /// Has every subscriber told that asked for it.
    pub(super) fn tell(&mut self, now_ms: i64, items: Vec<Item>) {
        for item in items {
            let asked = self.all.iter().filter(|(_, one)| !one.is_off && one.events.contains(&item.event));
            let destinations: Vec<String> = asked.map(|(url, _)| url.clone()).collect();
            for destination in destinations {
                self.tell_one(now_ms, destination, item.clone());
            }
        }
    }

    fn tell_one(&mut self, now_ms: i64, destination: String, item: Item) {
        let mut items = self.held.remove(&destination).unwrap_or_default();
        items.push(item);
        match self.misfortunes.pop_front() {
            None => self.send(now_ms, destination, items),
            Some(HookFault::Lost) => {}
            Some(HookFault::Doubled) => {
                self.send(now_ms, destination.clone(), items.clone());
                self.send(now_ms, destination, items);
            }
            Some(HookFault::Late { ms }) => self.send(now_ms + ms, destination, items),
            Some(HookFault::Merged) => drop(self.held.insert(destination, items)),
        }
    }

    fn send(&mut self, due_ms: i64, destination: String, items: Vec<Item>) {
        self.next_id += 1;
        let (id, request_id) = (self.next_id, format!("00000000-0000-4000-8000-{:012}", self.next_id));
        self.waiting.push_back(Delivery { id, destination, items, attempt: 1, due_ms, request_id });
        if self.waiting.len() > QUEUE_MAX {
            self.waiting.pop_front();
            self.counts.given_up += 1;
        }
    }

    /// What is due by now leaves.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Vec<OutgoingWebhook> {
        let waiting = std::mem::take(&mut self.waiting);
        let (due, later): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|delivery| delivery.due_ms <= now_ms);
        self.waiting = later;
        due.into_iter().map(|delivery| self.posting(delivery)).collect()
    }

    fn posting(&mut self, delivery: Delivery) -> OutgoingWebhook {
        self.counts.posted += 1;
        let webhook = OutgoingWebhook {
            id: delivery.id,
            lane: delivery.id,
            destination: Some(delivery.destination.clone()),
            content_type: "application/x-www-form-urlencoded",
            headers: vec![
                ("user-agent", "amoCRM-Webhooks/3.0".to_owned()),
                ("x-amocrm-requestid", delivery.request_id.clone()),
            ],
            body: body::form(&delivery.items),
        };
        self.under_way.insert(delivery.id, delivery);
        webhook
    }

    /// How an attempt ended; none: without an answer.
    pub(super) fn posted(&mut self, options: &HookOptions, id: i64, status: Option<u16>, at_ms: i64) {
        let Some(delivery) = self.under_way.remove(&id) else { return };
        if status.is_some_and(|status| (100..300).contains(&status)) {
            self.counts.delivered += 1;
            return;
        }
        self.counts.bad += 1;
        let is_off = self.note_bad_answer(options, &delivery.destination, at_ms);
        let is_theirs = status.is_none_or(|status| status == 499 || (500..600).contains(&status));
        let attempts_max = if is_theirs { 5 } else { 3 };
        if is_off || delivery.attempt >= attempts_max {
            self.counts.given_up += 1;
            return;
        }
        let due_ms = at_ms + options.retry_after_ms[delivery.attempt - 1];
        self.waiting.push_back(Delivery { attempt: delivery.attempt + 1, due_ms, ..delivery });
    }

    /// True when the subscription is off now.
    fn note_bad_answer(&mut self, options: &HookOptions, destination: &str, at_ms: i64) -> bool {
        let Some(one) = self.all.get_mut(destination) else { return true };
        one.bad_ms.push_back(at_ms);
        one.bad_ms.retain(|bad_ms| at_ms - bad_ms <= options.bad_answers_window_ms);
        one.is_off |= one.bad_ms.len() > options.bad_answers_max;
        one.is_off
    }
}
