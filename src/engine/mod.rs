//! Drives core through ports: one [`Bridge`] is one future that polls, receives, plans and carries
//! out, for as long as it is polled itself. It knows no library behind a port.
//!
//! ```text
//! webhook -> inbox ---> inbox.rs ---+--> notes ------------------------+
//!                                   +--> marks --+                     |
//! cron --> poll.rs, reconcile.rs -> people.rs, deals.rs -> record -> outbox -> execute/
//! ```
//!
//! Everything decided at once is committed at once (`record.rs`); a record that changed while
//! a plan was made, or has an action under way, is planned again instead.

mod account;
mod around;
mod backfill;
mod clock;
mod deals;
mod execute;
mod finding;
mod function;
mod guard;
mod health;
mod hints;
mod inbox;
mod looked;
mod newcomers;
mod parked;
mod passes;
mod people;
mod poll;
mod portion;
mod reconcile;
mod record;
mod recovery;
mod successor;
mod sweep;
mod undo;
mod watch;

pub use health::{Health, HealthReport, Hearing};
pub use reconcile::CLIENTS;
pub use recovery::HEARD;
pub use watch::Watch;

use crate::core::fault::Fault;
use crate::core::id::ClientId;
use crate::core::plan::ground::Ground;
use crate::core::policy::Policy;
use crate::core::retry::RetryPolicy;
use crate::core::time::Millis;
use crate::ports::env::{Arrivals, Bell, Env};
use crate::ports::meter::{Meter, Traffic, Unmetered};
use crate::ports::remote::{Amo, Decoder, Salebot};
use crate::ports::store::{Change, Store, StoreError, Stored};
use futures::future::{FutureExt, TryFutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, RwLock};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// What a bridge is made of. `app` puts it together.
pub struct Parts {
    /// The bridge's name.
    pub name: String,
    /// What it is told to do.
    pub policy: Policy,
    /// When it does it.
    pub timing: Timing,
    /// Bounds of trying again.
    pub retry: RetryPolicy,
    /// Its memory.
    pub store: Arc<dyn Store>,
    /// Its amoCRM account.
    pub amo: Arc<dyn Amo>,
    /// Its Salebot project.
    pub salebot: Arc<dyn Salebot>,
    /// Clock and chance.
    pub env: Arc<dyn Env>,
    /// Reads pushed bodies.
    pub decoder: Arc<dyn Decoder>,
    /// Rings when a body was received.
    pub arrived: Arc<Arrivals>,
    /// Ends the bridge: what is under way is finished, nothing new is begun.
    pub stop: CancellationToken,
}

/// When a bridge does what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Cron line, seconds first, UTC: contacts.
    pub poll_contacts: String,
    /// Cron line: leads.
    pub poll_leads: String,
    /// Cron line: the full sweep.
    pub sweep: String,
    /// Cron line: Salebot's newest clients.
    pub reconcile: String,
    /// Every poll reads again what changed in the last so many milliseconds.
    pub overlap_ms: i64,
    /// Every so many milliseconds a poll reads a wider window …
    pub recheck_every_ms: i64,
    /// … of so many milliseconds.
    pub recheck_window_ms: i64,
}

/// One amoCRM account, one Salebot project and their mapping, at work.
pub struct Bridge {
    parts: Parts,
    bells: Bells,
    /// Keys of actions under way. Held locked while something is recorded or claimed, so that no
    /// plan is recorded over an action that is being carried out.
    in_flight: Mutex<BTreeSet<String>>,
    ground: RwLock<Option<Arc<Ground>>>,
    /// When this process took the bridge up.
    started_at: OnceLock<Millis>,
    health: Arc<Health>,
    guards: guard::Guarding,
    clock: clock::ClockWatch,
    /// Bots that wait for an answer.
    desk: function::Desk,
    /// Where amoCRM tells of changes on its own account; none: there are polls alone.
    meter: Arc<dyn Meter>,
    watch: Option<Watch>,
    hints: hints::Pace,
    missed_contacts: successor::Missed,
    shown_older: looked::ShownOlder,
    missing: looked::Missing,
    traffic: Arc<dyn Traffic>,
    /// The backfill whose requests are counted, and what was sent before.
    backfill_counted: std::sync::Mutex<backfill::Counted>,
    /// Clients that the dry run under way would link.
    backfill_linked: std::sync::Mutex<BTreeSet<ClientId>>,
    /// When a backfill last stopped short.
    backfill_rested: std::sync::Mutex<Option<Millis>>,
    /// How many dialogues, and how many people of an import, are taken at a time.
    dialogues: portion::Portion,
    patient_marks: portion::Portion,
    parked: parked::Parked,
    /// How many contacts are read again at a time before they are written.
    fresh_looks: portion::Portion,
}

/// One bell for each queue.
#[derive(Default)]
struct Bells {
    marks: Bell,
    amo: Bell,
    salebot: Bell,
    /// Something may be released.
    guard: Bell,
    /// A sweep is to begin now.
    sweep: Bell,
    /// A backfill was asked for.
    backfill: Bell,
    /// An undo was asked for.
    undo: Bell,
}

/// What a step of a loop found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// More may be waiting: come back at once.
    More,
    /// Nothing to do before this, unless the bell rings.
    Idle(Option<Millis>),
}

/// Longest a loop sleeps without looking: a lost bell costs no more than this, and what a command
/// beside the daemon puts into a queue is found after it.
const LOOK_MS: i64 = 5_000;
/// How long a loop rests after the store failed.
const STORE_REST_MS: i64 = 1_000;
/// The part that sees to what was under way at the last stop.
const RESCUE: &str = "rescue";

/// How early a timer may be.
const EARLY_MS: i64 = 1_000;

/// How long what needs the account's metadata waits before it asks for it again.
const GROUND_MS: i64 = 1_000;

/// Why a look at a service ended early.
#[derive(Debug)]
enum Failure {
    /// The service failed.
    Fault(Fault),
    /// The store failed.
    Store(StoreError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Fault(fault)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

type Loop<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs the loops until all have ended. Only one that was woken is polled: a timer of one is no business of the others.
async fn together(loops: Vec<Loop<'_>>) {
    let mut loops: FuturesUnordered<Loop<'_>> = loops.into_iter().collect();
    while loops.next().await.is_some() {}
}

impl Bridge {
    /// Puts a bridge together; nothing happens before [`Bridge::run`].
    pub fn new(parts: Parts) -> Bridge {
        let health = Arc::new(Health::new());
        Bridge {
            parts,
            bells: Bells::default(),
            in_flight: Mutex::default(),
            ground: RwLock::new(None),
            started_at: OnceLock::new(),
            health,
            guards: guard::Guarding::default(),
            clock: clock::ClockWatch::default(),
            desk: function::Desk::default(),
            watch: None,
            meter: Arc::new(Unmetered),
            traffic: Arc::new(Unmetered),
            backfill_counted: std::sync::Mutex::default(),
            backfill_linked: std::sync::Mutex::default(),
            hints: hints::Pace::default(),
            missed_contacts: successor::Missed::default(),
            shown_older: looked::ShownOlder::default(),
            missing: looked::Missing::default(),
            backfill_rested: std::sync::Mutex::default(),
            dialogues: inbox::dialogues_at_once(),
            patient_marks: passes::patient_at_once(),
            parked: parked::Parked::default(),
            fresh_looks: execute::looks_at_once(),
        }
    }

    /// Lets it listen to what amoCRM tells on its own account.
    #[must_use]
    pub fn watching(mut self, watch: Watch) -> Bridge {
        self.watch = Some(watch);
        self
    }

    /// Has what it does counted.
    #[must_use]
    pub fn metered(mut self, meter: Arc<dyn Meter>) -> Bridge {
        self.meter = meter;
        self
    }

    /// Has a backfill tell what it sent.
    #[must_use]
    pub fn telling(mut self, traffic: Arc<dyn Traffic>) -> Bridge {
        self.traffic = traffic;
        self
    }

    /// How it is doing, for health checks and `status`.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// The bridge's name.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Works until the bridge's `stop`: what was sent is finished, nothing new is begun, and what was only being read is
    /// left.
    pub async fn run(&self) {
        self.started_at.get_or_init(|| self.now());
        self.rescue().await;
        self.load_stops().await;
        let loops: Vec<Loop<'_>> = vec![
            self.reading(self.drive(&self.parts.arrived.bell, "inbox", || self.inbox_step())),
            self.reading(self.drive(&self.bells.marks, "marks", || self.marks_step())),
            self.drive(&self.bells.amo, "amo outbox", || self.amo_step()).boxed(),
            self.drive(&self.bells.salebot, execute::SALEBOT_OUTBOX, || self.salebot_step()).boxed(),
            self.reading(self.drive(&self.bells.guard, "release", || self.release_step())),
            self.reading(self.account_loop()),
            self.reading(self.contacts_loop()),
            self.reading(self.leads_loop()),
            self.reading(self.sweep_loop()),
            self.reading(self.reconcile_loop()),
            self.reading(self.events_loop()),
            self.reading(self.subscription_loop()),
            self.reading(self.drive(&self.bells.backfill, poll::BACKFILL, || self.backfill_step())),
            self.reading(self.drive(&self.bells.undo, undo::UNDO, || self.undo_step())),
        ];
        together(loops).await;
    }

    /// Carries out an undo that was asked for, and what waits in the outbox, and nothing else, until the bridge's
    /// `stop`: for a command while no daemon runs.
    pub async fn run_undo(&self) {
        self.started_at.get_or_init(|| self.now());
        self.rescue().await;
        let loops: Vec<Loop<'_>> = vec![
            self.drive(&self.bells.amo, "amo outbox", || self.amo_step()).boxed(),
            self.drive(&self.bells.salebot, execute::SALEBOT_OUTBOX, || self.salebot_step()).boxed(),
            self.reading(self.account_loop()),
            self.reading(self.drive(&self.bells.undo, undo::UNDO, || self.undo_step())),
        ];
        together(loops).await;
    }

    /// Carries out a backfill that was asked for, and what it decided, and nothing else, until the bridge's `stop`:
    /// for a command while no daemon runs.
    pub async fn run_backfill(&self) {
        self.started_at.get_or_init(|| self.now());
        self.rescue().await;
        self.load_stops().await;
        let loops: Vec<Loop<'_>> = vec![
            self.reading(self.drive(&self.bells.marks, "marks", || self.marks_step())),
            self.drive(&self.bells.amo, "amo outbox", || self.amo_step()).boxed(),
            self.drive(&self.bells.salebot, execute::SALEBOT_OUTBOX, || self.salebot_step()).boxed(),
            self.reading(self.drive(&self.bells.guard, "release", || self.release_step())),
            self.reading(self.account_loop()),
            self.reading(self.drive(&self.bells.backfill, poll::BACKFILL, || self.backfill_step())),
        ];
        together(loops).await;
    }

    /// Work that reads and decides, wherever it is when the `stop` comes: what it has read is read again, and what it decided
    /// is recorded whole or not at all. People of a first import are read for half a minute at a time, and whoever writes
    /// meanwhile would wait for that at the door.
    fn reading<'b>(&'b self, work: impl Future<Output = ()> + Send + 'b) -> Loop<'b> {
        async move {
            tokio::select! {
                biased;
                () = self.parts.stop.cancelled() => {}
                () = work => {}
            }
        }
        .boxed()
    }

    /// Something was stored for the bridge by another process: every queue is looked at once.
    pub fn wake(&self) {
        let bells = &self.bells;
        let asked = [&bells.guard, &bells.backfill, &bells.undo];
        for bell in [&self.parts.arrived.bell, &bells.marks, &bells.amo, &bells.salebot].into_iter().chain(asked) {
            bell.ring();
        }
    }

    /// Actions that were under way when we last stopped may have been carried out.
    async fn rescue(&self) {
        while !self.is_stopping() {
            let rescued = self.store().rescue(self.name());
            // Our clock may have been set back while we were away; what was under way has its time of then.
            match rescued.and_then(|rescued| self.set_back(0).map_ok(move |()| rescued)).await {
                Ok(0) => return self.worked(RESCUE),
                Ok(rescued) => {
                    self.worked(RESCUE);
                    tracing::info!(
                        bridge = self.name(),
                        rescued,
                        "actions were under way when the daemon last stopped; they are looked up first"
                    );
                    return;
                }
                Err(error) => self.store_failed(RESCUE, &error).await,
            }
        }
    }

    /// Repeats a step until `stop`, resting as the step says.
    async fn drive<F, S>(&self, bell: &Bell, name: &'static str, mut step: F)
    where
        F: FnMut() -> S,
        S: Future<Output = Result<Step, StoreError>> + Send,
    {
        while !self.is_stopping() {
            match self.follow_clock().and_then(|()| step()).await {
                Ok(Step::More) => self.worked(name),
                Ok(Step::Idle(until)) => {
                    self.worked(name);
                    self.rest(bell, until).await;
                }
                Err(error) => self.store_failed(name, &error).await,
            }
        }
    }

    /// After our clock was set back nothing that is put off waits for it to catch up.
    async fn follow_clock(&self) -> Stored<()> {
        self.now();
        let Some(by_ms) = self.clock.take_back() else { return Ok(()) };
        tracing::warn!(
            bridge = self.name(),
            seconds = by_ms / 1_000,
            "this machine's clock was set back; what waits is not put off by it"
        );
        self.set_back(by_ms).await.inspect_err(|_| self.clock.went_back(by_ms))
    }

    async fn set_back(&self, by_ms: i64) -> Stored<()> {
        self.commit(vec![Change::SetBack { now: self.now(), by_ms }]).await
    }

    async fn rest(&self, bell: &Bell, until: Option<Millis>) {
        let wait_ms = until.map_or(LOOK_MS, |until| until.since(self.now()).clamp(0, LOOK_MS));
        tokio::select! {
            biased;
            () = self.parts.stop.cancelled() => {}
            () = bell.heard() => {}
            () = self.parts.env.sleep(wait_ms) => {}
        }
    }

    /// Waits until then, or for as long as it was until then: after our clock was set back nobody waits for it to
    /// catch up.
    async fn pause_until(&self, due: Millis) {
        let mut wait_ms = due.since(self.now());
        while wait_ms > 0 && !self.is_stopping() {
            tokio::select! {
                biased;
                () = self.parts.stop.cancelled() => {}
                () = self.parts.env.sleep(wait_ms) => {}
            }
            // A timer may be a little early by this clock.
            wait_ms = Some(due.since(self.now())).filter(|left_ms| *left_ms < EARLY_MS).unwrap_or(0);
        }
    }

    async fn store_failed(&self, name: &str, error: &StoreError) {
        if self.health.failed(name, &error.to_string(), self.now()) {
            tracing::error!(
                bridge = self.name(),
                part = name,
                "the store failed; nothing is lost, it is tried again every second: {error}"
            );
        }
        self.parts.env.sleep(STORE_REST_MS).await;
    }

    /// A part works; after an outage that is worth a line.
    fn worked(&self, part: &str) {
        if self.health.worked(part, self.now()) {
            tracing::info!(bridge = self.name(), part, "works again");
        }
    }

    /// A part failed because of a service: one line an outage, the rest for the curious.
    fn troubled(&self, part: &str, fault: &Fault, what: &str) {
        if self.health.failed(part, &fault.to_string(), self.now()) {
            tracing::warn!(bridge = self.name(), part, "{what}: {fault}");
        } else {
            tracing::debug!(bridge = self.name(), part, %fault, "{what}");
        }
    }

    fn is_stopping(&self) -> bool {
        self.parts.stop.is_cancelled()
    }

    fn now(&self) -> Millis {
        let now = self.parts.env.now();
        self.clock.saw(now);
        now
    }

    /// The policy resolved against the account; none until the account was read.
    fn ground(&self) -> Option<Arc<Ground>> {
        self.ground.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
