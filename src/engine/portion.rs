//! How much is taken at a time.

use std::sync::atomic::{AtomicU32, Ordering};

/// How much of a queue is taken at a time, between bounds: twice as much while it is soon done with, half while it takes
/// long.
pub(super) struct Portion {
    size: AtomicU32,
    least: u32,
    most: u32,
}

impl Portion {
    /// To begin with `size`.
    pub(super) fn new(least: u32, size: u32, most: u32) -> Portion {
        Portion { size: AtomicU32::new(size), least, most }
    }

    /// How much to take.
    pub(super) fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    /// What the last one cost, beside what is little and what is too much.
    pub(super) fn cost(&self, cost: i64, little: i64, too_much: i64) {
        let size = match cost {
            _ if cost < little => self.size() * 2,
            _ if cost > too_much => self.size() / 2,
            _ => return,
        };
        self.size.store(size.clamp(self.least, self.most), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_taken_in_smaller_portions_and_the_rest_in_larger_ones() {
        let portion = Portion::new(4, 200, 200);
        portion.cost(1_000, 250, 1_000);
        portion.cost(250, 250, 1_000);
        assert_eq!(portion.size(), 200, "neither little nor too much");
        (0..20).for_each(|_| portion.cost(40_000, 250, 1_000));
        assert_eq!(portion.size(), 4, "somebody is always taken");
        portion.cost(10, 250, 1_000);
        assert_eq!(portion.size(), 8);
        (0..20).for_each(|_| portion.cost(10, 250, 1_000));
        assert_eq!(portion.size(), 200);
    }
}
