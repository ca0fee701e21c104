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
}

impl ClockWatch {
    /// A glance at the clock.
    pub(super) fn saw(&self, now: Millis) {
        let last = self.last.swap(now.0, Ordering::Relaxed);
        if last != 0 && !(-BACK_MS..=GAP_MS).contains(&(now.0 - last)) {
            self.set_at.store(now.0, Ordering::Relaxed);
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
        watch.saw(Millis(3_000_000));
        assert_eq!(watch.set_at(), Some(Millis(3_000_000)));
    }
}
