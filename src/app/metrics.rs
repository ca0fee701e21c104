//! What Prometheus reads: what the engine counted since the start, and what queues, lanes and health show now.
//!
//! Labels are names from the configuration and words from fixed lists; no ids, nothing of people.

use crate::app::daemon::Insight;
use crate::app::opened::Opened;
use crate::app::post::Post;
use crate::app::release;
use crate::core::action::Side;
use crate::core::time::Millis;
use crate::inbound::{Exposition, PushCounts};
use crate::ports::env::Env;
use crate::ports::meter::{End, Meter};
use crate::ports::store::Store;
use crate::remote::lane::{LaneReport, LaneState};
use async_trait::async_trait;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Seconds from a decision to the end of an attempt: a message on its way, a retry, an outage.
const AGE_BUCKETS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0];

/// A gauge with a fraction.
type Amount = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBridge {
    bridge: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPart {
    bridge: String,
    part: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCursor {
    bridge: String,
    cursor: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLane {
    bridge: String,
    lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAnswer {
    bridge: String,
    lane: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAction {
    bridge: String,
    action: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSide {
    bridge: String,
    side: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    bridge: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

/// What bridges count, over the whole life of the process.
#[derive(Clone)]
pub struct Meters {
    actions: Family<OfAction, Counter>,
    ages: Family<OfSide, Histogram, fn() -> Histogram>,
    lines: Family<OfKind, Counter>,
}

impl Default for Meters {
    fn default() -> Meters {
        let ages = Family::new_with_constructor((|| Histogram::new(AGE_BUCKETS)) as fn() -> Histogram);
        Meters { actions: Family::default(), ages, lines: Family::default() }
    }
}

impl Meters {
    /// What one bridge counts with.
    pub fn of(&self, bridge: &str) -> Arc<dyn Meter> {
        Arc::new(BridgeMeter { bridge: bridge.to_owned(), meters: self.clone() })
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("actions", "Attempts at actions, by how they ended", self.actions.clone());
        let help = "From the decision to the end of the action, done ones only";
        registry.register("action_seconds", help, self.ages.clone());
        registry.register("journal_lines", "Lines decided for the journal", self.lines.clone());
    }
}

struct BridgeMeter {
    bridge: String,
    meters: Meters,
}

impl Meter for BridgeMeter {
    fn settled(&self, action: &'static str, side: Side, end: End, age_ms: i64) {
        let bridge = || self.bridge.clone();
        self.meters.actions.get_or_create(&OfAction { bridge: bridge(), action, outcome: end.name() }).inc();
        if end == End::Done {
            let side = OfSide { bridge: bridge(), side: side.name() };
            self.meters.ages.get_or_create(&side).observe(seconds(age_ms));
        }
    }

    fn noticed(&self, kind: &'static str) {
        self.meters.lines.get_or_create(&OfKind { bridge: self.bridge.clone(), kind }).inc();
    }
}

/// All metrics of a daemon.
pub struct Metrics {
    meters: Meters,
    insight: Arc<Insight>,
    opened: Opened,
    env: Arc<dyn Env>,
}

impl Metrics {
    /// Reads these whenever it is asked.
    pub fn new(meters: Meters, insight: Arc<Insight>, opened: Opened, env: Arc<dyn Env>) -> Metrics {
        Metrics { meters, insight, opened, env }
    }
}

#[async_trait]
impl Exposition for Metrics {
    async fn text(&self, pushed: PushCounts) -> Result<String, String> {
        let mut registry = Registry::with_prefix("salebridge");
        registry.register("build", "This program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self.meters.register(&mut registry);
        webhooks(pushed, &mut registry);
        commits(&self.opened, &mut registry);
        let now = self.env.now();
        let (queues, lanes) = (Queues::default(), LaneGauges::default());
        let store = self.opened.store();
        // Where the store does not answer, all that the process knows by itself is told the more.
        let mut answers = true;
        for post in self.insight.posts() {
            answers = answers && queues.read(post, store.as_ref(), now).await.is_ok();
            queues.look(post, now);
            for (lane, report) in post.current().iter().flat_map(|current| current.lanes.reports()) {
                lanes.look(&post.name, lane, &report);
            }
        }
        let store_answers = Gauge::<i64>::default();
        store_answers.set(i64::from(answers));
        registry.register(
            "store_answers",
            "0 where the store did not answer just now: what waits is not told",
            store_answers,
        );
        queues.register(&mut registry);
        lanes.register(&mut registry);
        let mut text = String::new();
        text::encode(&mut text, &registry).map_err(|error| error.to_string())?;
        Ok(text)
    }
}

fn webhooks(pushed: PushCounts, registry: &mut Registry) {
    let PushCounts { stored, broken, known, dropped, failed, refused } = pushed;
    let family = Family::<OfOutcome, Counter>::default();
    let fine = stored.saturating_sub(broken);
    let all = [
        ("stored", fine),
        ("broken", broken),
        ("known", known),
        ("dropped", dropped),
        ("failed", failed),
        ("refused", refused),
    ];
    for (outcome, count) in all {
        family.get_or_create(&OfOutcome { outcome }).inc_by(count);
    }
    let help = "Pushed bodies: stored, broken (stored as a dead letter), known, dropped, failed (503), refused";
    registry.register("webhooks", help, family);
}

/// How the store's writer does. Bodies and decisions that wait for the disk share a commit.
fn commits(opened: &Opened, registry: &mut Registry) {
    let counted = opened.written();
    let of = |count: u64| {
        let counter = Counter::<u64>::default();
        counter.inc_by(count);
        counter
    };
    registry.register("store_commits", "Transactions", of(counted.commits));
    registry.register("store_requests", "Requests that shared them", of(counted.jobs));
    registry.register("store_failures", "Transactions that failed", of(counted.failures));
    let micros = Counter::<f64, AtomicU64>::default();
    micros.inc_by(counted.commit_us as f64 / 1e6);
    registry.register("store_commit_seconds", "Time spent in them, sync to disk included", micros);
}

/// What waits, and how each bridge is.
#[derive(Default)]
struct Queues {
    driven: Family<OfBridge, Gauge>,
    inbox: Family<OfBridge, Gauge>,
    inbox_oldest: Family<OfBridge, Amount>,
    outbox: Family<OfBridge, Gauge>,
    outbox_oldest: Family<OfBridge, Amount>,
    marks: Family<OfBridge, Gauge>,
    links: Family<OfBridge, Gauge>,
    dead_letters: Family<OfBridge, Gauge>,
    frozen: Family<OfBridge, Gauge>,
    stopped: Family<OfBridge, Gauge>,
    cursors: Family<OfCursor, Amount>,
    parts: Family<OfPart, Gauge>,
    unproven: Family<OfBridge, Amount>,
    token_ends: Family<OfBridge, Amount>,
}

impl Queues {
    async fn read(&self, post: &Post, store: &dyn Store, now: Millis) -> anyhow::Result<()> {
        let name = &post.name;
        let label = OfBridge { bridge: name.clone() };
        let counts = store.counts(name).await?;
        let (stops, frozen) = release::kept(store, name).await?;
        let set = |family: &Family<OfBridge, Gauge>, count: u64| {
            family.get_or_create(&label).set(whole(count));
        };
        set(&self.inbox, counts.inbox);
        set(&self.outbox, counts.outbox);
        set(&self.marks, counts.marks);
        set(&self.links, counts.links);
        set(&self.dead_letters, counts.dead_letters);
        set(&self.frozen, frozen.len() as u64);
        set(&self.stopped, stops.len() as u64);
        let age = |since: Option<Millis>| since.map_or(0.0, |since| seconds(now.since(since)));
        self.inbox_oldest.get_or_create(&label).set(age(counts.inbox_oldest));
        self.outbox_oldest.get_or_create(&label).set(age(counts.outbox_oldest));
        for (cursor, at) in store.cursors(name).await? {
            self.cursors.get_or_create(&OfCursor { bridge: name.clone(), cursor }).set(age(Some(at.moved_at)));
        }
        Ok(())
    }

    fn look(&self, post: &Post, now: Millis) {
        let label = OfBridge { bridge: post.name.clone() };
        let current = post.current();
        self.driven.get_or_create(&label).set(i64::from(current.is_some()));
        let Some(current) = current else { return };
        let health = current.bridge.health();
        for part in health.report() {
            let label = OfPart { bridge: post.name.clone(), part: part.part };
            self.parts.get_or_create(&label).set(i64::from(part.fault.is_none()));
        }
        let unproven = health.unproven(now).map_or(0.0, |interval| seconds(interval.to.since(interval.from)));
        self.unproven.get_or_create(&label).set(unproven);
        let ends = current.token.standing(now).and_then(|standing| standing.refresh_expires_at.or(standing.expires_at));
        if let Some(ends) = ends {
            self.token_ends.get_or_create(&label).set(ends.0 as f64 / 1e3);
        }
    }

    fn register(self, registry: &mut Registry) {
        let mut gauge = |name: &str, help: &str, family| registry.register(name, help, family);
        gauge("driven", "1 where this process drives the bridge", self.driven);
        gauge("inbox_bodies", "Pushed bodies that wait to become notes", self.inbox);
        gauge("outbox_actions", "Actions that wait or are under way", self.outbox);
        gauge("marks", "Records that wait to be looked at", self.marks);
        gauge("links", "Links between contacts and clients", self.links);
        gauge("dead_letters", "What will not succeed without a human", self.dead_letters);
        gauge(
            "frozen_pairs",
            "Pairs of values that were frozen because two programs kept correcting each other",
            self.frozen,
        );
        gauge("stopped_passes", "Passes that a guard has stopped", self.stopped);
        registry.register("part_working", "0 where a part of the bridge fails", self.parts);
        let mut age = |name: &str, help: &str, family| registry.register(name, help, family);
        age("inbox_oldest_seconds", "Age of the oldest body that waits", self.inbox_oldest);
        age("outbox_oldest_seconds", "Age of the oldest action that waits", self.outbox_oldest);
        age("unproven_seconds", "Length of the time in which messages may be missing", self.unproven);
        age("token_end_timestamp_seconds", "When the way into amoCRM ends without a human, Unix time", self.token_ends);
        let help = "Since a listing was last read to its end";
        registry.register("cursor_age_seconds", help, self.cursors);
    }
}

#[derive(Default)]
struct LaneGauges {
    requests: Family<OfAnswer, Counter>,
    open: Family<OfLane, Gauge>,
    waiting: Family<OfLane, Gauge>,
    rate: Family<OfLane, Amount>,
    budget: Family<OfLane, Gauge>,
    clock: Family<OfLane, Gauge>,
}

impl LaneGauges {
    fn look(&self, bridge: &str, lane: &'static str, report: &LaneReport) {
        for (status, count) in &report.answers {
            let label = OfAnswer { bridge: bridge.to_owned(), lane, status };
            self.requests.get_or_create(&label).inc_by(*count);
        }
        let label = OfLane { bridge: bridge.to_owned(), lane };
        self.open.get_or_create(&label).set(i64::from(report.state == LaneState::Open));
        self.waiting.get_or_create(&label).set(whole(report.waiting.iter().sum::<usize>() as u64));
        self.rate.get_or_create(&label).set(report.requests_per_second);
        if let Some(left) = report.budget_left {
            self.budget.get_or_create(&label).set(whole(left));
        }
        if let Some(ahead_s) = report.clock_ahead_s {
            self.clock.get_or_create(&label).set(ahead_s);
        }
    }

    fn register(self, registry: &mut Registry) {
        let help = "Requests sent, by the status of the answer; none: no answer came";
        registry.register("requests", help, self.requests);
        registry.register("lane_open", "0 while a lane is paused, blocked or parked", self.open);
        registry.register("lane_waiting", "Requests that wait for their turn", self.waiting);
        registry.register("lane_requests_per_second", "The pace at the moment; less after a 429", self.rate);
        registry.register("lane_budget_left", "What is left of the day's budget", self.budget);
        let help = "How far this machine's clock is ahead of the service's; negative: behind";
        registry.register("clock_ahead_seconds", help, self.clock);
    }
}

/// A count as gauges hold it.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1e3
}
