//! The arithmetic of a lane: when the next request may leave.
//!
//! One `governor` cell without burst spaces permits evenly, so that no second, wherever it begins,
//! holds more than the rate. After a 429 the rate is halved and then won back step by step.

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a 429 leaves of the rate.
const DECREASE: f64 = 0.5;
/// The share of the configured rate that is won back in each step …
const INCREASE_SHARE: f64 = 0.1;
/// … and how often. From half to full takes 50 s: other integrations that share the account's limit
/// work in bursts of about a minute.
const INCREASE_EVERY_MS: i64 = 10_000;
/// The rate never falls below this share of the configured one.
const FLOOR_SHARE: f64 = 0.1;

/// Slowest and fastest rates that make sense: a request a day, a thousand a second.
const RATE_MIN: f64 = 1.0 / 86_400.0;
const RATE_MAX: f64 = 1_000.0;

/// The cell's clock: a number that the lane sets before it asks.
#[derive(Debug, Clone, Default)]
struct CellClock(Arc<AtomicU64>);

impl Clock for CellClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

type Cell = RateLimiter<NotKeyed, InMemoryState, CellClock, NoOpMiddleware<Nanos>>;

/// The rate of a lane and its cell. Times are milliseconds of the lane's own clock.
pub(super) struct Rate {
    configured: f64,
    current: f64,
    /// The rate the cell was built with: it changes only together with a permit, since a new cell
    /// knows nothing of the permit before.
    built: f64,
    cell: Cell,
    clock: CellClock,
    raise_at_ms: i64,
}

impl Rate {
    /// A rate of so many requests a second, not necessarily whole.
    pub(super) fn new(per_second: f64) -> Rate {
        let configured = if per_second.is_finite() { per_second.clamp(RATE_MIN, RATE_MAX) } else { 1.0 };
        let clock = CellClock::default();
        let cell = new_cell(configured, &clock);
        Rate { configured, current: configured, built: configured, cell, clock, raise_at_ms: 0 }
    }

    /// Takes a permit, or tells how many milliseconds from now the next one is there.
    pub(super) fn take(&mut self, now_ms: i64) -> Result<(), i64> {
        self.recover(now_ms);
        self.clock.0.store(nanos(now_ms), Ordering::Relaxed);
        if let Err(not_until) = self.cell.check() {
            let wait = not_until.wait_time_from(self.clock.now());
            return Err(i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX).max(1));
        }
        if self.built != self.current {
            self.cell = new_cell(self.current, &self.clock);
            self.built = self.current;
            // The permit is taken from the new cell as well, so that the next keeps its distance.
            let _taken = self.cell.check();
        }
        Ok(())
    }

    /// Halves the rate; it recovers from `from_ms` on.
    pub(super) fn decrease(&mut self, from_ms: i64) {
        self.current = (self.current * DECREASE).max(self.configured * FLOOR_SHARE);
        self.raise_at_ms = from_ms.saturating_add(INCREASE_EVERY_MS);
    }

    /// The rate at this moment, requests a second.
    pub(super) fn current(&self) -> f64 {
        self.current
    }

    fn recover(&mut self, now_ms: i64) {
        while self.current < self.configured && now_ms >= self.raise_at_ms {
            self.current = (self.current + self.configured * INCREASE_SHARE).min(self.configured);
            self.raise_at_ms = self.raise_at_ms.saturating_add(INCREASE_EVERY_MS);
        }
    }
}

fn new_cell(per_second: f64, clock: &CellClock) -> Cell {
    let period = Duration::from_secs_f64(1.0 / per_second).max(Duration::from_nanos(1));
    let quota = Quota::with_period(period).expect("a period is at least a nanosecond, see above");
    RateLimiter::direct_with_clock(quota, clock.clone())
}

fn nanos(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_spaced_even_after_a_rest() {
        let mut rate = Rate::new(4.0);
        assert_eq!(rate.take(0), Ok(()));
        assert_eq!(rate.take(0), Err(250));
        assert_eq!(rate.take(249), Err(1));
        assert_eq!(rate.take(60_000), Ok(()));
        assert_eq!(rate.take(60_000), Err(250));
    }

    #[test]
    fn a_429_halves_the_rate_and_it_comes_back_in_steps() {
        let mut rate = Rate::new(4.0);
        rate.decrease(0);
        assert_eq!(rate.take(0), Ok(()));
        assert_eq!(rate.take(0), Err(500));
        assert_eq!(rate.take(10_000), Ok(()));
        assert_eq!(rate.current(), 2.4);
        for _ in 0..10 {
            rate.decrease(10_000);
        }
        assert_eq!(rate.current(), 0.4);
        assert_eq!(rate.take(1_000_000), Ok(()));
        assert_eq!(rate.current(), 4.0);
    }
}
