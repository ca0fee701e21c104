//! What follows from a fault: the one place that decides about trying again.

use super::fault::{Fault, FaultKind};
use super::time::Millis;

/// Bounds of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first wait is drawn from nought to this.
    pub first_ms: i64,
    /// No wait is longer.
    pub longest_ms: i64,
    /// After so many attempts that count it is a dead letter.
    pub attempts_max: u32,
}

impl Default for RetryPolicy {
    /// One second doubling to ten minutes; 40 attempts are between three and six hours of a service
    /// that answers with errors. Outages without an answer are waited out by the lane as well.
    fn default() -> Self {
        RetryPolicy { first_ms: 1_000, longest_ms: 600_000, attempts_max: 40 }
    }
}

/// What is to be done with an action that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time.
    Again {
        /// Not before.
        at: Millis,
        /// Attempts that count, this one included if it does.
        attempts: u32,
        /// True when it may have been done: look before sending again.
        in_doubt: bool,
    },
    /// Drop it, look at the records again and plan anew.
    Replan,
    /// A human must look.
    GiveUp,
}

/// Longest wait that a service can impose with `Retry-After`.
const IMPOSED_MS_MAX: i64 = 3_600_000;
/// How long an action rests when the whole lane is held up; the lane itself decides when it goes on.
const LANE_WAIT_MS: i64 = 1_000;
/// How long an action rests while the account does not accept us.
const PARKED_MS: i64 = 60_000;

/// How long a note waits for its person's next contact, while one is looked for or made.
const CONTACT_MS: i64 = 5_000;
/// No such wait is longer.
const CONTACT_MS_MAX: i64 = 3_600_000;
/// A note that waits for so long is not waited for any more.
const CONTACT_DAYS_MAX: i64 = 7;

/// How long to wait for the next contact of a note's person; none where a human must look. `is_nobody`: who that is was looked
/// for, and no contact is to be made of what is known. `may_come`: one would be made if more was known. `waited_ms`: since the
/// note first found no contact.
pub fn next_contact_ms(is_nobody: bool, may_come: bool, waited_ms: i64) -> Option<i64> {
    if waited_ms >= CONTACT_DAYS_MAX * 86_400_000 || (is_nobody && !may_come) {
        return None;
    }
    // The longer it took, the less a tenth of that matters.
    Some(if is_nobody { (waited_ms / 10).clamp(CONTACT_MS, CONTACT_MS_MAX) } else { CONTACT_MS })
}

/// Decides. `attempts`: those that counted before this one. `fraction`: an even draw from [0, 1).
pub fn decide(policy: RetryPolicy, attempts: u32, in_doubt: bool, fault: &Fault, now: Millis, fraction: f64) -> Next {
    let again = |wait_ms: i64, attempts: u32, in_doubt: bool| Next::Again { at: now.plus(wait_ms), attempts, in_doubt };
    match fault.kind {
        FaultKind::Transient | FaultKind::Uncertain if attempts + 1 >= policy.attempts_max => Next::GiveUp,
        FaultKind::Transient => again(backoff(policy, attempts, fraction), attempts + 1, in_doubt),
        FaultKind::Uncertain => again(backoff(policy, attempts, fraction), attempts + 1, true),
        FaultKind::Throttled { after_ms } => {
            again(after_ms.unwrap_or(LANE_WAIT_MS).clamp(LANE_WAIT_MS, IMPOSED_MS_MAX), attempts, in_doubt)
        }
        FaultKind::Auth | FaultKind::Blocked => again(PARKED_MS, attempts, in_doubt),
        FaultKind::Interrupted => again(0, attempts, in_doubt),
        FaultKind::Changed | FaultKind::Gone => Next::Replan,
        FaultKind::Rejected | FaultKind::Broken => Next::GiveUp,
    }
}

/// Full jitter: anywhere from nought to the doubled bound.
fn backoff(policy: RetryPolicy, attempts: u32, fraction: f64) -> i64 {
    let bound = policy.first_ms.saturating_mul(1_i64 << attempts.min(30)).min(policy.longest_ms);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a wait of at most minutes, in milliseconds"
    )]
    let wait = (bound as f64 * fraction) as i64;
    wait.clamp(0, bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Millis = Millis(1_000_000);

    #[rstest]
    #[case(FaultKind::Transient, 1, false)]
    #[case(FaultKind::Uncertain, 1, true)]
    #[case(FaultKind::Throttled { after_ms: None }, 0, false)]
    #[case(FaultKind::Auth, 0, false)]
    #[case(FaultKind::Blocked, 0, false)]
    #[case(FaultKind::Interrupted, 0, false)]
    fn waits_count_only_where_the_action_is_to_blame(
        #[case] kind: FaultKind,
        #[case] counted: u32,
        #[case] doubt: bool,
    ) {
        let next = decide(RetryPolicy::default(), 0, false, &Fault::new(kind, "x"), NOW, 0.5);
        assert!(
            matches!(next, Next::Again { attempts, in_doubt, at } if attempts == counted && in_doubt == doubt && at >= NOW)
        );
    }

    #[rstest]
    #[case::being_made(false, true, 0, Some(5_000))]
    #[case::being_made_for_a_day(false, true, 86_400_000, Some(5_000))]
    #[case::being_made_for_a_week(false, false, 604_800_000, None)]
    #[case::none_is_ever_made(true, false, 0, None)]
    #[case::at_first(true, true, 0, Some(5_000))]
    #[case::after_an_hour(true, true, 3_600_000, Some(360_000))]
    #[case::after_a_day(true, true, 86_400_000, Some(3_600_000))]
    #[case::after_a_week(true, true, 604_800_000, None)]
    #[case::the_clock_was_set_back(true, true, -1, Some(5_000))]
    fn a_note_waits_for_a_contact_that_may_come(
        #[case] is_nobody: bool,
        #[case] may_come: bool,
        #[case] waited_ms: i64,
        #[case] expected: Option<i64>,
    ) {
        assert_eq!(next_contact_ms(is_nobody, may_come, waited_ms), expected);
    }

    #[test]
    fn doubt_once_raised_stays() {
        let next = decide(RetryPolicy::default(), 1, true, &Fault::new(FaultKind::Transient, "x"), NOW, 0.0);
        assert!(matches!(next, Next::Again { in_doubt: true, .. }));
    }

    #[test]
    fn waits_grow_to_a_bound_and_attempts_end() {
        let policy = RetryPolicy { first_ms: 1_000, longest_ms: 8_000, attempts_max: 5 };
        let wait =
            |attempts| match decide(policy, attempts, false, &Fault::new(FaultKind::Transient, "x"), NOW, 0.999_999) {
                Next::Again { at, .. } => Some(at.since(NOW)),
                Next::Replan | Next::GiveUp => None,
            };
        let waits: Vec<_> = (0..6).map(wait).collect();
        assert_eq!(waits, [Some(999), Some(1_999), Some(3_999), Some(7_999), None, None]);
    }

    #[test]
    fn a_service_can_lengthen_a_wait_only_up_to_a_limit() {
        let fault = Fault::new(FaultKind::Throttled { after_ms: Some(i64::MAX) }, "x");
        assert!(
            matches!(decide(RetryPolicy::default(), 0, false, &fault, NOW, 0.0), Next::Again { at, .. } if at == NOW.plus(IMPOSED_MS_MAX))
        );
    }
}
