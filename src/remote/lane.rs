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
#[cfg(test)]
mod tests;

use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use gate::{Gate, Probing, Reason};
use queue::{Queues, Ticket};
use rate::Rate;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Shortest pause after a 429: both services count by the second.
const PAUSE_MIN_MS: i64 = 1_000;
/// Longest pause after a 429, whatever the service asks for: a wrong `Retry-After` must not stop
/// the lane for a day.
const PAUSE_MAX_MS: i64 = 5 * 60_000;
/// Longest pause we choose ourselves when 429 follows 429 and the service names no time.
const PAUSE_DOUBLING_MAX_MS: i64 = 60_000;
/// Longest sleep of whoever watches the clock, so that a corrected clock is noticed.
const SLEEP_MAX_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

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
    /// Milliseconds until a closed lane lets the first request through.
    pub probe_first_ms: i64,
    /// Longest wait between two such requests, milliseconds.
    pub probe_last_ms: i64,
}

impl LaneOptions {
    /// A lane with a rate and the usual values for the rest: 10 000 may wait, no budget, probes
    /// after a minute up to a quarter of an hour.
    pub fn new(name: impl Into<String>, requests_per_second: f64) -> LaneOptions {
        LaneOptions {
            name: name.into(),
            requests_per_second,
            queue_max: 10_000,
            daily_budget: None,
            probe_first_ms: 60_000,
            probe_last_ms: 15 * 60_000,
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
    /// Answers 429 since start.
    pub throttled: u64,
    /// Blocks since start, failed probes included.
    pub blocked: u64,
    /// Requests a second at the moment; less than configured after a 429.
    pub requests_per_second: f64,
    /// What is left of the day's budget.
    pub budget_left: Option<u64>,
    /// When requests flow again (paused), or when the next probe may go (blocked, parked).
    pub until: Option<Millis>,
}

/// One remote account's lane.
pub struct Lane {
    env: Arc<dyn Env>,
    options: LaneOptions,
    state: Mutex<State>,
}

struct State {
    clock: LaneClock,
    rate: Rate,
    queues: Queues,
    gate: Gate,
    verdicts: HashMap<u64, Result<u64, Fault>>,
    /// The caller that watches the clock, and until when it means to sleep.
    watcher: Option<(u64, Arc<Notify>, i64)>,
    paused_until_ms: i64,
    /// 429 after 429, without an accepted request between.
    strikes: u32,
    /// Permits up to this number were granted before the last 429.
    throttled_at_permit: u64,
    next_ticket: u64,
    granted: u64,
    throttled: u64,
    blocked: u64,
    budget_day: i64,
    budget_used: u64,
}

/// Milliseconds that only move forward: the wall clock may be set back, and then a lane that
/// trusted it would stand still for as long.
struct LaneClock {
    wall: Millis,
    elapsed_ms: i64,
}

impl LaneClock {
    fn advance(&mut self, wall: Millis) -> i64 {
        self.elapsed_ms = self.elapsed_ms.saturating_add(wall.since(self.wall).max(0));
        self.wall = wall;
        self.elapsed_ms
    }
}

impl Lane {
    /// A lane that has sent nothing yet.
    pub fn new(options: LaneOptions, env: Arc<dyn Env>) -> Lane {
        let wall = env.now();
        let state = State {
            clock: LaneClock { wall, elapsed_ms: 0 },
            rate: Rate::new(options.requests_per_second),
            queues: Queues::default(),
            gate: Gate::default(),
            verdicts: HashMap::new(),
            watcher: None,
            paused_until_ms: 0,
            strikes: 0,
            throttled_at_permit: 0,
            next_ticket: 0,
            granted: 0,
            throttled: 0,
            blocked: 0,
            budget_day: 0,
            budget_used: 0,
        };
        Lane { env, options, state: Mutex::new(state) }
    }

    /// Waits for its turn. Dropping the future gives the place back.
    ///
    /// Errors: [`FaultKind::Throttled`] when too many wait already or the day's budget is used up,
    /// [`FaultKind::Blocked`] and [`FaultKind::Auth`] while the lane is closed.
    pub async fn permit(&self, priority: Priority, cost: Cost) -> Result<Permit<'_>, Fault> {
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
        let now_ms = state.clock.advance(self.env.now());
        let wait_ms = instant.since(state.clock.wall).clamp(0, PAUSE_MAX_MS);
        state.paused_until_ms = state.paused_until_ms.max(now_ms.saturating_add(wait_ms));
    }

    /// What `status` shows.
    pub fn report(&self) -> LaneReport {
        let mut state = self.lock();
        let now_ms = state.clock.advance(self.env.now());
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
            throttled: state.throttled,
            blocked: state.blocked,
            requests_per_second: state.rate.current(),
            budget_left: self.options.daily_budget.map(|budget| budget.saturating_sub(state.budget_used)),
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
        state.queues.push(priority, Ticket { id, free: cost == Cost::Free, bell: bell.clone() });
        Ok(Waiting { lane: self, id, bell, free: cost == Cost::Free })
    }

    /// Grants what is due and tells one caller what to do next.
    fn step(&self, waiting: &Waiting<'_>) -> Step {
        let mut state = self.lock();
        let due_ms = state.pump(self.env.now(), &self.options);
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
        let now_ms = state.clock.advance(self.env.now());
        state.note(permit, outcome, now_ms, &self.options);
        // What waits may now be due, or be refused: let the watcher look again.
        if let Some((_, bell, _)) = &state.watcher {
            bell.notify_one();
        }
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

impl State {
    /// Hands out every permit and refusal that is due; tells in how many milliseconds to look again.
    fn pump(&mut self, wall: Millis, options: &LaneOptions) -> Option<i64> {
        let now_ms = self.clock.advance(wall);
        self.start_day(wall);
        loop {
            self.refuse_the_hopeless(now_ms, wall, options);
            self.queues.first()?;
            if now_ms < self.paused_until_ms {
                return Some(self.paused_until_ms - now_ms);
            }
            if let Err(wait_ms) = self.rate.take(now_ms) {
                return Some(wait_ms);
            }
            let ticket = self.queues.pop()?;
            self.grant(&ticket);
        }
    }

    fn grant(&mut self, ticket: &Ticket) {
        self.granted += 1;
        if !ticket.free {
            self.budget_used += 1;
        }
        self.gate.probe_with(self.granted);
        self.verdicts.insert(ticket.id, Ok(self.granted));
        ticket.bell.notify_one();
    }

    /// Answers those who would wait in vain: everybody while the lane is closed, and counted
    /// requests when the day's budget is gone.
    fn refuse_the_hopeless(&mut self, now_ms: i64, wall: Millis, options: &LaneOptions) {
        if let Some(closed) = self.gate.closed()
            && !closed.may_probe(now_ms)
        {
            let fault = closed.fault(&options.name, now_ms);
            self.refuse(|_| true, &fault);
        }
        if options.daily_budget.is_some_and(|budget| self.budget_used >= budget) {
            let until_midnight = DAY_MS - wall.0.rem_euclid(DAY_MS);
            let kind = FaultKind::Throttled { after_ms: Some(until_midnight) };
            let fault = Fault::new(kind, format!("today's request budget for {} is used up", options.name));
            self.refuse(|ticket| !ticket.free, &fault);
        }
    }

    fn refuse(&mut self, condition: impl Fn(&Ticket) -> bool, fault: &Fault) {
        for ticket in self.queues.drain(condition) {
            self.verdicts.insert(ticket.id, Err(fault.clone()));
            ticket.bell.notify_one();
        }
    }

    fn start_day(&mut self, wall: Millis) {
        let day = wall.0.div_euclid(DAY_MS);
        if day != self.budget_day {
            self.budget_day = day;
            self.budget_used = 0;
        }
    }

    fn note(&mut self, permit: u64, outcome: Outcome, now_ms: i64, options: &LaneOptions) {
        let probing = Probing { first_ms: options.probe_first_ms, last_ms: options.probe_last_ms };
        match outcome {
            Outcome::Accepted => {
                self.gate.accepted(permit);
                if permit > self.throttled_at_permit {
                    self.strikes = 0;
                }
            }
            Outcome::Throttled { after_ms } => {
                self.throttled += 1;
                self.gate.unclear(permit, now_ms);
                self.throttle(permit, after_ms, now_ms);
            }
            Outcome::Blocked => {
                self.blocked += 1;
                self.gate.close(Reason::Blocked, now_ms, permit, self.granted, probing);
            }
            Outcome::Auth => self.gate.close(Reason::Parked, now_ms, permit, self.granted, probing),
            Outcome::Unclear => self.gate.unclear(permit, now_ms),
        }
    }

    /// Several requests under way may all come back with 429: they count as one, and only the
    /// longest pause among them matters.
    fn throttle(&mut self, permit: u64, after_ms: Option<i64>, now_ms: i64) {
        if permit > self.throttled_at_permit {
            self.throttled_at_permit = self.granted;
            self.strikes = self.strikes.saturating_add(1);
        }
        let doubled = PAUSE_MIN_MS.saturating_mul(1 << self.strikes.saturating_sub(1).min(10));
        let pause_ms = after_ms.unwrap_or(0).max(doubled.min(PAUSE_DOUBLING_MAX_MS)).min(PAUSE_MAX_MS);
        let until_ms = now_ms.saturating_add(pause_ms);
        if now_ms >= self.paused_until_ms {
            self.rate.decrease(until_ms);
        }
        self.paused_until_ms = self.paused_until_ms.max(until_ms);
    }
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
        if state.watcher.as_ref().is_some_and(|(id, ..)| *id == self.id) {
            state.watcher = None;
            if let Some(next) = state.queues.first() {
                next.bell.notify_one();
            }
        }
    }
}

impl State {
    /// A permit that was not used. Its moment is gone (handing it on would squeeze two requests
    /// together), its share of the budget is not.
    fn give_back(&mut self, number: u64, free: bool) {
        if !free {
            self.budget_used = self.budget_used.saturating_sub(1);
        }
        let now_ms = self.clock.elapsed_ms;
        self.gate.unclear(number, now_ms);
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
