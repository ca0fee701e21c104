//! How often a pair of values changed the direction in which it is carried. Two programs that
//! correct each other, with us between them, would go on for ever: such a pair is frozen.

use super::action::Side;
use super::time::Millis;
use serde::{Deserialize, Serialize};

/// Turns are counted over this long, from the first one on. People do not correct each other more than a few
/// times in ten minutes; programs do.
pub const WINDOW_MS: i64 = 600_000;

/// What is remembered about the turns of one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flips {
    /// The side that was written last; none: neither was, or nobody counts.
    pub last: Option<Side>,
    /// Turns within the window.
    pub count: u32,
    /// When the window began: the first of these turns.
    pub since: Millis,
    /// True once there were too many: nothing is written until a human releases the pair.
    pub frozen: bool,
}

impl Flips {
    /// After a write to this side. More than `limit` turns within the window freeze the pair.
    #[must_use]
    pub fn written(self, to: Side, now: Millis, limit: u32) -> Flips {
        if self.frozen {
            return self;
        }
        let last = Some(to);
        match self.last {
            Some(before) if before != to => {}
            _ => return Flips { last, ..self },
        }
        let is_over = self.count == 0 || !now.is_near(self.since, WINDOW_MS + 1);
        let (count, since) = if is_over { (1, now) } else { (self.count.saturating_add(1), self.since) };
        Flips { last, count, since, frozen: count > limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Amo, Salebot};
    use rstest::rstest;

    /// Writes at these minutes, with at most two turns allowed.
    fn after(writes: &[(Side, i64)]) -> Flips {
        let write = |flips: Flips, (side, minute): &(Side, i64)| flips.written(*side, Millis(minute * 60_000), 2);
        writes.iter().fold(Flips::default(), write)
    }

    #[rstest]
    #[case::nothing(&[], 0, false)]
    #[case::one_way_for_ever(&[(Amo, 0), (Amo, 1), (Amo, 2), (Amo, 3), (Amo, 4)], 0, false)]
    #[case::as_many_as_allowed(&[(Amo, 0), (Salebot, 1), (Amo, 2)], 2, false)]
    #[case::one_too_many(&[(Amo, 0), (Salebot, 1), (Amo, 2), (Salebot, 3)], 3, true)]
    #[case::writes_between_do_not_count(&[(Amo, 0), (Salebot, 1), (Salebot, 2), (Amo, 3), (Amo, 4)], 2, false)]
    #[case::at_the_edge_of_the_window(&[(Amo, 0), (Salebot, 1), (Amo, 2), (Salebot, 11)], 3, true)]
    #[case::slowly(&[(Amo, 0), (Salebot, 1), (Amo, 2), (Salebot, 12)], 1, false)]
    #[case::a_new_window_begins_with_its_turn(&[(Amo, 0), (Salebot, 1), (Amo, 12), (Salebot, 13), (Amo, 14)], 3, true)]
    #[case::from_before_the_clock_was_set_back(&[(Amo, 100), (Salebot, 101), (Amo, 2), (Salebot, 3)], 2, false)]
    fn too_many_turns_in_a_window_freeze(#[case] writes: &[(Side, i64)], #[case] count: u32, #[case] frozen: bool) {
        let flips = after(writes);
        assert_eq!((flips.count, flips.frozen), (count, frozen));
    }

    #[test]
    fn a_frozen_pair_stays_frozen_until_it_is_released() {
        let frozen = after(&[(Amo, 0), (Salebot, 1), (Amo, 2), (Salebot, 3)]);
        assert_eq!(frozen.written(Amo, Millis(3_600_000), 2), frozen);
        assert!(!Flips::default().written(Amo, Millis(3_600_000), 2).frozen);
    }
}
