//! Whether our own clock went on evenly: somebody may set it, and a machine may sleep.

use crate::core::time::Millis;
use std::sync::atomic::{AtomicI64, Ordering};

/// Loops look every five seconds: a longer gap between two glances is none of theirs.
const GAP_MS: i64 = 30_000;
/// So far back is no correction of a clock that runs a little fast.
const BACK_MS: i64 = 1_000;

/// Remembers when the clock was last found set.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: AtomicI64,
    set_at: AtomicI64,
    back_ms: AtomicI64,
}

impl ClockWatch {
    /// A glance at the clock.
    pub(super) fn saw(&self, now: Millis) {
        let last = self.last.swap(now.0, Ordering::Relaxed);
        if last != 0 && !(-BACK_MS..=GAP_MS).contains(&(now.0 - last)) {
            self.set_at.store(now.0, Ordering::Relaxed);
            self.went_back((last - now.0).max(0));
        }
    }

    /// It was set back by so much, and nobody has acted upon it.
    pub(super) fn went_back(&self, by_ms: i64) {
        self.back_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// By how much it was set back since the last call; none: it was not.
    pub(super) fn take_back(&self) -> Option<i64> {
        Some(self.back_ms.swap(0, Ordering::Relaxed)).filter(|by_ms| *by_ms > 0)
    }

    /// The time as far as it can be compared with now: of one from before the clock was set, or from a time to come, nobody knows
    /// how long ago it was, but not before the setting. Where nobody saw that, it was before `started_at`.
    pub(super) fn comparable(&self, at: Millis, now: Millis, started_at: Option<Millis>) -> Millis {
        match self.set_at() {
            Some(set_at) if at < set_at || at > now => set_at,
            None if at > now => started_at.map_or(now, |started_at| started_at.min(now)),
            _ => at,
        }
    }

    /// What the clock showed after it was last set; none: it went on evenly. Times from before cannot
    /// be compared with now.
    pub(super) fn set_at(&self) -> Option<Millis> {
        Some(self.set_at.load(Ordering::Relaxed)).filter(|at| *at != 0).map(Millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_noticed_at_the_next_glance_and_an_even_clock_is_not() {
        let watch = ClockWatch::default();
        for now in [1_000, 6_000, 36_000, 35_500] {
            watch.saw(Millis(now));
        }
        assert_eq!(watch.set_at(), None);
        watch.saw(Millis(3_600_000));
        assert_eq!(watch.set_at(), Some(Millis(3_600_000)));
        assert_eq!(watch.take_back(), None);
        watch.saw(Millis(3_000_000));
        assert_eq!(watch.set_at(), Some(Millis(3_000_000)));
        assert_eq!((watch.take_back(), watch.take_back()), (Some(600_000), None));
    }

    #[test]
    fn times_from_before_the_clock_was_set_are_no_older_than_that() {
        let watch = ClockWatch::default();
        watch.saw(Millis(900_000));
        let started_at = Some(Millis(900_000));
        assert_eq!(watch.comparable(Millis(800_000), Millis(900_000), started_at), Millis(800_000));
        let now = Millis(905_000);
        assert_eq!(watch.comparable(Millis(999_000), now, started_at), Millis(900_000), "set before we started");
        watch.saw(Millis(700_000));
        let now = Millis(760_000);
        for (at, compared) in [(650_000, 700_000), (750_000, 750_000), (800_000, 700_000)] {
            assert_eq!(watch.comparable(Millis(at), now, started_at), Millis(compared), "{at}");
        }
    }
}
