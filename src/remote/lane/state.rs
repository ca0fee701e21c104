//! What a lane remembers, and what follows from it at a given moment.

use super::gate::{Gate, Probing, Reason};
use super::queue::{Queues, Ticket};
use super::rate::Rate;
use super::{BUDGET, LaneOptions, Outcome};
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::env::Env;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Notify;

/// Shortest pause after a 429: both services count by the second.
pub(super) const PAUSE_MIN_MS: i64 = 1_000;
/// Longest pause after a 429, whatever the service asks for: a wrong `Retry-After` must not stop
/// the lane for a day.
pub(super) const PAUSE_MAX_MS: i64 = 5 * 60_000;
/// Longest pause we choose ourselves when 429 follows 429 and the service names no time.
const PAUSE_DOUBLING_MAX_MS: i64 = 60_000;
pub(super) const DAY_MS: i64 = 86_400_000;

/// Everything a lane remembers. Times are milliseconds of its own clock.
pub(super) struct State {
    pub(super) clock: LaneClock,
    pub(super) rate: Rate,
    pub(super) queues: Queues,
    pub(super) gate: Gate,
    pub(super) verdicts: HashMap<u64, Result<u64, Fault>>,
    /// The caller that watches the clock, and until when it means to sleep.
    pub(super) watcher: Option<(u64, Arc<Notify>, i64)>,
    pub(super) paused_until_ms: i64,
    /// 429 after 429, without an accepted request between.
    pub(super) strikes: u32,
    /// Permits up to this number were granted before the last 429.
    pub(super) throttled_at_permit: u64,
    pub(super) next_ticket: u64,
    pub(super) granted: u64,
    /// Permits that went to work of the lowest priority.
    pub(super) background: u64,
    /// Requests sent, by the class of the answer's status.
    pub(super) answers: BTreeMap<&'static str, u64>,
    pub(super) throttled: u64,
    pub(super) blocked: u64,
    pub(super) budget_day: i64,
    pub(super) budget_used: u64,
    pub(super) clock_ahead_ms: Option<i64>,
}

/// Milliseconds that only move forward, and no faster than time does: the wall clock may be set back, and then a lane
/// that trusted it would stand still for as long, or forward, and then it would send too early.
pub(super) struct LaneClock {
    pub(super) wall: Millis,
    pub(super) elapsed_ms: i64,
    measured_ms: i64,
}

impl LaneClock {
    fn new(env: &dyn Env) -> LaneClock {
        LaneClock { wall: env.now(), elapsed_ms: 0, measured_ms: env.elapsed_ms() }
    }

    /// The lane's time now.
    pub(super) fn advance(&mut self, env: &dyn Env) -> i64 {
        let measured_ms = env.elapsed_ms();
        self.elapsed_ms = self.elapsed_ms.saturating_add(measured_ms.saturating_sub(self.measured_ms).max(0));
        (self.measured_ms, self.wall) = (measured_ms, env.now());
        self.elapsed_ms
    }
}

impl State {
    /// A lane that has sent nothing yet.
    pub(super) fn new(requests_per_second: f64, env: &dyn Env) -> State {
        State {
            clock: LaneClock::new(env),
            rate: Rate::new(requests_per_second),
            queues: Queues::default(),
            gate: Gate::default(),
            verdicts: HashMap::new(),
            watcher: None,
            paused_until_ms: 0,
            strikes: 0,
            throttled_at_permit: 0,
            next_ticket: 0,
            granted: 0,
            background: 0,
            answers: BTreeMap::new(),
            throttled: 0,
            blocked: 0,
            budget_day: 0,
            budget_used: 0,
            clock_ahead_ms: None,
        }
    }

    /// Hands out every permit and refusal that is due; tells in how many milliseconds to look again.
    pub(super) fn pump(&mut self, env: &dyn Env, options: &LaneOptions) -> Option<i64> {
        let now_ms = self.clock.advance(env);
        let wall = self.clock.wall;
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
        self.background += u64::from(ticket.is_background);
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
            let fault = Fault::new(kind, format!("{BUDGET}{} is used up", options.name));
            self.refuse(|ticket| !ticket.free, &fault);
        }
    }

    fn refuse(&mut self, condition: impl Fn(&Ticket) -> bool, fault: &Fault) {
        for ticket in self.queues.drain(condition) {
            self.verdicts.insert(ticket.id, Err(fault.clone()));
            ticket.bell.notify_one();
        }
    }

    /// Begins the budget anew with each UTC day.
    pub(super) fn start_day(&mut self, wall: Millis) {
        let day = wall.0.div_euclid(DAY_MS);
        if day != self.budget_day {
            self.budget_day = day;
            self.budget_used = 0;
        }
    }

    /// Takes in what became of a permit.
    pub(super) fn note(&mut self, permit: u64, outcome: Outcome, now_ms: i64, options: &LaneOptions) {
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

    /// Closes for the want of credentials, or says what the closed lane lacks.
    pub(super) fn park(&mut self, note: &str, now_ms: i64, options: &LaneOptions) {
        let probing = Probing { first_ms: options.probe_first_ms, last_ms: options.probe_last_ms };
        // No permit has this number: a probe under way stays one.
        self.gate.close(Reason::Parked, now_ms, 0, self.granted, probing);
        self.gate.explain(note);
    }

    /// What waits may now be due, or be refused: lets the watcher look again.
    pub(super) fn wake_watcher(&self) {
        if let Some((_, bell, _)) = &self.watcher {
            bell.notify_one();
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

    /// A permit that was not used. Its moment is gone (handing it on would squeeze two requests
    /// together), its share of the budget is not.
    pub(super) fn give_back(&mut self, number: u64, free: bool) {
        if !free {
            self.budget_used = self.budget_used.saturating_sub(1);
        }
        let now_ms = self.clock.elapsed_ms;
        self.gate.unclear(number, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicI64, Ordering};

    /// A wall clock that is set while time goes on.
    struct Set {
        wall: AtomicI64,
        elapsed: AtomicI64,
    }

    #[async_trait]
    impl Env for Set {
        fn now(&self) -> Millis {
            Millis(self.wall.load(Ordering::Relaxed))
        }

        fn elapsed_ms(&self) -> i64 {
            self.elapsed.load(Ordering::Relaxed)
        }

        async fn sleep(&self, _millis: i64) {}

        fn fraction(&self) -> f64 {
            0.0
        }
    }

    #[test]
    fn a_clock_that_is_set_makes_a_lane_neither_faster_nor_slower() {
        let env = Set { wall: AtomicI64::new(1_000_000), elapsed: AtomicI64::new(50) };
        let mut clock = LaneClock::new(&env);
        for (leap_ms, expected) in [(0, 10), (4 * 3_600_000, 20), (-9 * 3_600_000, 30)] {
            env.wall.fetch_add(leap_ms, Ordering::Relaxed);
            env.elapsed.fetch_add(10, Ordering::Relaxed);
            assert_eq!(clock.advance(&env), expected);
            assert_eq!(clock.wall, env.now());
        }
    }
}
