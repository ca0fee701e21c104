//! The way to one remote account: nothing is sent there without a permit from its lane.
//!
//! - Permits are spaced by the rate, so that no second, wherever it begins, holds more than allowed.
//! - Three queues share them: a person before a poll before background work, first come first
//!   served within each; a lower one that waits gets at least every twentieth.
//! - 429: the lane pauses for what the service asks, at least a second and at most five minutes,
//!   doubling while the answers stay 429; then it goes on at half the rate and wins it back in steps.
//! - 403 block and refused keys: the lane closes. Callers get the fault at once instead of waiting
//!   for hours, and one request is let through now and then to see whether it is over.
//!
//! There is no task behind a lane: one of the waiting callers watches the clock for all and hands
//! that duty on when it leaves. All time comes from [`Env`].

mod gate;
mod queue;
mod rate;
mod state;
#[cfg(test)]
mod tests;

use crate::core::fault::{Fault, FaultKind};
use crate::core::time::{CLOCK_OFF_MS, Millis};
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use gate::Reason;
use queue::Ticket;
use state::{PAUSE_MAX_MS, PAUSE_MIN_MS, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Longest sleep of whoever watches the clock, so that a corrected clock is noticed.
const SLEEP_MAX_MS: i64 = 60_000;

/// How the reason of a fault begins that a used-up daily budget brings.
pub const BUDGET: &str = "today's request budget for ";

/// What a lane is made with.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// Its name in faults and reports: `amoCRM`.
    pub name: String,
    /// Most requests in any second; need not be whole.
    pub requests_per_second: f64,
    /// Most callers that may wait; the next is refused.
    pub queue_max: usize,
    /// Most counted requests in a UTC day; none: no budget.
    pub daily_budget: Option<u64>,
    /// True where a process before this one may have sent up to this moment: the first request keeps its distance
    /// from that one's last.
    pub follows_another: bool,
    /// Milliseconds until a closed lane lets the first request through.
    pub probe_first_ms: i64,
    /// Longest wait between two such requests, milliseconds.
    pub probe_last_ms: i64,
    /// From then on nobody gets a permit any more, nor waits for one.
    pub stop: CancellationToken,
}

impl LaneOptions {
    /// A lane with a rate and the usual values for the rest: 10 000 may wait, no budget, probes
    /// after a minute up to a quarter of an hour, no end.
    pub fn new(name: impl Into<String>, requests_per_second: f64) -> LaneOptions {
        LaneOptions {
            name: name.into(),
            requests_per_second,
            queue_max: 10_000,
            daily_budget: None,
            follows_another: false,
            probe_first_ms: 60_000,
            probe_last_ms: 15 * 60_000,
            stop: CancellationToken::new(),
        }
    }
}

/// What an answer says about the account; adapters tell it from everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service accepted us, whatever it thought of the content.
    Accepted,
    /// Too fast.
    Throttled {
        /// Milliseconds the service asked for.
        after_ms: Option<i64>,
    },
    /// The account is blocked.
    Blocked,
    /// Key, token, subscription or rights of the whole account.
    Auth,
    /// No answer, or one that says nothing about the account: 5xx, a lost connection.
    Unclear,
}

/// Whether the daily budget counts a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// It does.
    Counted,
    /// It does not.
    Free,
}

/// The state of a lane in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Requests flow.
    Open,
    /// Waits after a 429.
    Paused,
    /// The service has blocked us.
    Blocked,
    /// The service does not accept us.
    Parked,
}

/// A lane as `status` shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LaneReport {
    /// Open, paused, blocked or parked.
    pub state: LaneState,
    /// How many wait: people, polls, background.
    pub waiting: [usize; 3],
    /// Permits granted since start.
    pub granted: u64,
    /// How many of them went to backfills and sweeps.
    #[serde(skip)]
    pub background: u64,
    /// Answers 429 since start.
    pub throttled: u64,
    /// Blocks since start, failed probes included.
    pub blocked: u64,
    /// Requests sent since start, by the class of the answer's status: see [`Lane::count`].
    #[serde(skip)]
    pub answers: BTreeMap<&'static str, u64>,
    /// Requests a second at the moment; less than configured after a 429.
    pub requests_per_second: f64,
    /// What is left of the day's budget.
    pub budget_left: Option<u64>,
    /// How many seconds this machine's clock is ahead of the service's, by its last answer that told the time; negative:
    /// behind.
    pub clock_ahead_s: Option<i64>,
    /// When requests flow again (paused), or when the next probe may go (blocked, parked).
    pub until: Option<Millis>,
}

/// One remote account's lane.
pub struct Lane {
    env: Arc<dyn Env>,
    options: LaneOptions,
    state: Mutex<State>,
}

impl Lane {
    /// A lane that has sent nothing yet.
    pub fn new(options: LaneOptions, env: Arc<dyn Env>) -> Lane {
        let mut state = State::new(options.requests_per_second, env.as_ref());
        if options.follows_another {
            // Nobody waits yet, so that the first permit goes to the process before this one.
            let _taken = state.rate.take(0);
        }
        Lane { env, options, state: Mutex::new(state) }
    }

    /// Waits for its turn. Dropping the future gives the place back.
    ///
    /// Errors: [`FaultKind::Throttled`] when too many wait already or the day's budget is used up,
    /// [`FaultKind::Blocked`] and [`FaultKind::Auth`] while the lane is closed, [`FaultKind::Interrupted`] from the stop on.
    pub async fn permit(&self, priority: Priority, cost: Cost) -> Result<Permit<'_>, Fault> {
        tokio::select! {
            biased;
            () = self.options.stop.cancelled() => {
                Err(Fault::new(FaultKind::Interrupted, "it was not sent: the daemon stops"))
            }
            permit = self.turn(priority, cost) => permit,
        }
    }

    async fn turn(&self, priority: Priority, cost: Cost) -> Result<Permit<'_>, Fault> {
        let waiting = self.enqueue(priority, cost)?;
        loop {
            match self.step(&waiting) {
                Step::Done(verdict) => return verdict.map(|number| Permit { lane: self, number, cost, told: false }),
                Step::Watch(sleep_ms) => {
                    tokio::select! {
                        biased;
                        () = waiting.bell.notified() => {}
                        () = self.env.sleep(sleep_ms) => {}
                    }
                }
                Step::Wait => waiting.bell.notified().await,
            }
        }
    }

    /// Sends nothing before this instant. Only ever extends a pause.
    pub fn pause_until(&self, instant: Millis) {
        let mut state = self.lock();
        let now_ms = state.clock.advance(self.env.as_ref());
        let wait_ms = instant.since(state.clock.wall).clamp(0, PAUSE_MAX_MS);
        state.paused_until_ms = state.paused_until_ms.max(now_ms.saturating_add(wait_ms));
    }

    /// The service does not accept us, and this is what a human must do. Nothing is sent but a request now and then to
    /// see whether it is over.
    pub fn park(&self, note: &str) {
        let mut state = self.lock();
        let now_ms = state.clock.advance(self.env.as_ref());
        state.park(note, now_ms, &self.options);
        state.wake_watcher();
    }

    /// What the service refused is void: there are new credentials. A block and a pause stay.
    pub fn unpark(&self) {
        let mut state = self.lock();
        state.gate.unpark();
        state.wake_watcher();
    }

    /// Counts a request that was sent: by the status of its answer, none where no answer came.
    pub fn count(&self, status: Option<u16>) {
        *self.lock().answers.entry(class_of(status)).or_default() += 1;
    }

    /// An answer told the time: so many milliseconds is this machine's clock ahead, negative: behind. True where it is too
    /// far off, and was not by the answer before.
    pub fn dated(&self, ahead_ms: i64) -> bool {
        let is_off = |ahead_ms: i64| ahead_ms.saturating_abs() > CLOCK_OFF_MS;
        let before_ms = self.lock().clock_ahead_ms.replace(ahead_ms);
        is_off(ahead_ms) && !before_ms.is_some_and(is_off)
    }

    /// What `status` shows.
    pub fn report(&self) -> LaneReport {
        let mut state = self.lock();
        let now_ms = state.clock.advance(self.env.as_ref());
        let wall = state.clock.wall;
        let paused = state.paused_until_ms > now_ms;
        let (condition, until_ms) = match state.gate.closed() {
            Some(closed) if closed.reason == Reason::Blocked => (LaneState::Blocked, Some(closed.probe_at_ms)),
            Some(closed) => (LaneState::Parked, Some(closed.probe_at_ms)),
            None if paused => (LaneState::Paused, Some(state.paused_until_ms)),
            None => (LaneState::Open, None),
        };
        state.start_day(wall);
        LaneReport {
            state: condition,
            waiting: state.queues.lengths(),
            granted: state.granted,
            background: state.background,
            throttled: state.throttled,
            blocked: state.blocked,
            answers: state.answers.clone(),
            requests_per_second: state.rate.current(now_ms),
            budget_left: self.options.daily_budget.map(|budget| budget.saturating_sub(state.budget_used)),
            clock_ahead_s: state.clock_ahead_ms.map(|ahead_ms| ahead_ms / 1_000),
            until: until_ms.map(|until_ms| wall.plus(until_ms - now_ms)),
        }
    }

    fn enqueue(&self, priority: Priority, cost: Cost) -> Result<Waiting<'_>, Fault> {
        let mut state = self.lock();
        if state.queues.total() >= self.options.queue_max {
            let reason = format!("{} requests to {} wait already", self.options.queue_max, self.options.name);
            return Err(Fault::new(FaultKind::Throttled { after_ms: Some(PAUSE_MIN_MS) }, reason));
        }
        let bell = Arc::new(Notify::new());
        let id = state.next_ticket;
        state.next_ticket += 1;
        let is_background = priority == Priority::Background;
        state.queues.push(priority, Ticket { id, free: cost == Cost::Free, is_background, bell: bell.clone() });
        Ok(Waiting { lane: self, id, bell, free: cost == Cost::Free })
    }

    /// Grants what is due and tells one caller what to do next.
    fn step(&self, waiting: &Waiting<'_>) -> Step {
        let mut state = self.lock();
        let due_ms = state.pump(self.env.as_ref(), &self.options);
        if let Some(verdict) = state.verdicts.remove(&waiting.id) {
            return Step::Done(verdict);
        }
        let due_ms = due_ms.unwrap_or(SLEEP_MAX_MS).clamp(1, SLEEP_MAX_MS);
        let wake_ms = state.clock.elapsed_ms.saturating_add(due_ms);
        match &mut state.watcher {
            Some((id, bell, until_ms)) if *id != waiting.id => {
                // Somebody else watches the clock: only wake it if it means to sleep too long.
                if *until_ms > wake_ms {
                    bell.notify_one();
                }
                Step::Wait
            }
            watcher => {
                *watcher = Some((waiting.id, waiting.bell.clone(), wake_ms));
                Step::Watch(due_ms)
            }
        }
    }

    fn answered(&self, permit: u64, outcome: Outcome) {
        let mut state = self.lock();
        let now_ms = state.clock.advance(self.env.as_ref());
        state.note(permit, outcome, now_ms, &self.options);
        state.wake_watcher();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Step {
    Done(Result<u64, Fault>),
    Watch(i64),
    Wait,
}

/// A place in the queue; dropping it gives the place, or the unused permit, back.
struct Waiting<'a> {
    lane: &'a Lane,
    id: u64,
    bell: Arc<Notify>,
    free: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.lock();
        state.queues.remove(self.id);
        if let Some(Ok(number)) = state.verdicts.remove(&self.id) {
            state.give_back(number, self.free);
        }
        // Nobody watches as well when this one was to take over and had its turn, or gave up, before it could.
        if state.watcher.as_ref().is_none_or(|(id, ..)| *id == self.id) {
            state.watcher = None;
            if let Some(next) = state.queues.first() {
                next.bell.notify_one();
            }
        }
    }
}

/// Statuses that say something of the account stand alone, others are gathered.
fn class_of(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(401) => "401",
        Some(402) => "402",
        Some(403) => "403",
        Some(429) => "429",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) => "other",
    }
}

/// The right to send one request. Tell it how that went; dropped untold, it counts as unclear.
pub struct Permit<'a> {
    lane: &'a Lane,
    number: u64,
    cost: Cost,
    told: bool,
}

impl Permit<'_> {
    /// What the answer said about the account.
    pub fn answered(mut self, outcome: Outcome) {
        self.told = true;
        self.lane.answered(self.number, outcome);
    }

    /// Nothing was sent after all: the day's budget gets it back.
    pub fn unused(mut self) {
        self.told = true;
        self.lane.lock().give_back(self.number, self.cost == Cost::Free);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.lane.answered(self.number, Outcome::Unclear);
        }
    }
}
