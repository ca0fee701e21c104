//! Named checks over a pass, made before anything of it is recorded. A check that fails stops the
//! pass; a human looks, and releases it or repairs what is wrong.

use super::policy::Guard;
use std::fmt;

/// What a pass would do, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records it plans.
    pub records: u64,
    /// Values it would clear, on either side.
    pub cleared: u64,
    /// Contacts it would unlink and leads it would close because they are gone.
    pub unlinked: u64,
}

/// Why a pass must not be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// `blast_radius`: it would clear too many values.
    Cleared {
        /// How many.
        count: u64,
        /// In how many records.
        records: u64,
    },
    /// `blast_radius`: it would unlink too many records.
    Unlinked {
        /// How many.
        count: u64,
        /// Of how many.
        records: u64,
    },
    /// `empty_listing`: amoCRM lists nothing, though records of it are linked.
    Empty {
        /// What it does not list.
        what: &'static str,
    },
}

impl Excess {
    /// The check's name, for logs and `status`.
    pub fn check(self) -> &'static str {
        match self {
            Excess::Cleared { .. } | Excess::Unlinked { .. } => "blast_radius",
            Excess::Empty { .. } => "empty_listing",
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Cleared { count, records } => write!(f, "it would clear {count} values in {records} records"),
            Excess::Unlinked { count, records } => {
                write!(f, "it would unlink {count} of {records} records because amoCRM does not have them any more")
            }
            Excess::Empty { what } => write!(f, "amoCRM lists no {what} at all, though some are linked"),
        }
    }
}

/// `blast_radius`: a pass that clears or unlinks more than the configured share of its records, and
/// more than the configured number, is more likely a fault on the other side than work of people.
pub fn blast_radius(guard: &Guard, tally: Tally) -> Option<Excess> {
    let Tally { records, cleared, unlinked } = tally;
    if exceeds(guard, unlinked, records) {
        return Some(Excess::Unlinked { count: unlinked, records });
    }
    exceeds(guard, cleared, records).then_some(Excess::Cleared { count: cleared, records })
}

#[expect(clippy::cast_precision_loss, reason = "counts of records, far below 2^52")]
fn exceeds(guard: &Guard, count: u64, records: u64) -> bool {
    count > guard.max_cleared_min && count as f64 > guard.max_cleared_share * records as f64
}

/// `empty_listing`: a full listing without a single row says nothing about what is linked.
pub fn empty_listing(what: &'static str, listed: u64, has_links: bool) -> Option<Excess> {
    (listed == 0 && has_links).then_some(Excess::Empty { what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GUARD: Guard = Guard { max_cleared_share: 0.2, max_cleared_min: 50, freeze_after_flips: 6 };

    #[rstest]
    #[case::nothing(500, 0, 0, None)]
    #[case::few_of_few(10, 50, 0, None)]
    #[case::more_than_the_least(10, 51, 0, Some("clear 51 values in 10 records"))]
    #[case::just_the_share(500, 100, 0, None)]
    #[case::over_the_share(500, 101, 0, Some("clear 101 values in 500 records"))]
    #[case::many_of_very_many(100_000, 20_000, 0, None)]
    #[case::unlinked(200, 0, 51, Some("unlink 51 of 200 records"))]
    #[case::unlinked_just_the_share(500, 0, 100, None)]
    #[case::they_are_not_added_up(500, 60, 60, None)]
    #[case::without_records(0, 51, 0, Some("clear 51 values in 0 records"))]
    fn the_blast_radius_has_a_share_and_a_least(
        #[case] records: u64,
        #[case] cleared: u64,
        #[case] unlinked: u64,
        #[case] told: Option<&str>,
    ) {
        let excess = blast_radius(&GUARD, Tally { records, cleared, unlinked });
        assert_eq!(excess.is_some(), told.is_some(), "{excess:?}");
        if let (Some(excess), Some(told)) = (excess, told) {
            assert!(excess.to_string().contains(told), "{excess}");
            assert_eq!(excess.check(), "blast_radius");
        }
    }

    #[test]
    fn a_guard_of_nought_lets_nothing_be_cleared() {
        let strict = Guard { max_cleared_share: 0.0, max_cleared_min: 0, freeze_after_flips: 1 };
        assert!(blast_radius(&strict, Tally { records: 1_000, cleared: 1, unlinked: 0 }).is_some());
        assert_eq!(blast_radius(&strict, Tally { records: 1_000, cleared: 0, unlinked: 0 }), None);
    }

    #[rstest]
    #[case(0, true, true)]
    #[case(0, false, false)]
    #[case(1, true, false)]
    fn an_empty_listing_is_suspicious_where_there_are_links(
        #[case] listed: u64,
        #[case] has_links: bool,
        #[case] stops: bool,
    ) {
        assert_eq!(empty_listing("contacts", listed, has_links).is_some(), stops);
    }
}
