//! What is known of the pair in force, and when something is to be done about it.

use super::pair::{Pair, Tokens};
use crate::core::fault::Fault;
use crate::core::time::Millis;
use crate::core::token::{self, Standing, Trouble};

/// The first rest after a failure; it doubles …
const REST_FIRST_MS: i64 = 2_000;
/// … up to here: five minutes of an outage are no reason to miss the end of it.
const REST_LAST_MS: i64 = 5 * 60_000;
/// The first rest after a refusal; it doubles …
const REFUSED_FIRST_MS: i64 = 15 * 60_000;
/// … up to here. An integration may be switched on again, which nobody tells us.
const REFUSED_LAST_MS: i64 = 60 * 60_000;

/// How much a renewal is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Not at all.
    Nothing,
    /// It is time, and the token still works.
    Soon,
    /// Nothing can be sent before.
    Now,
}

/// What is known.
#[derive(Default)]
pub(super) struct State {
    /// False before the store was read for the first time.
    pub(super) is_loaded: bool,
    /// In force.
    pub(super) pair: Option<Pair>,
    /// True for a pair that was not obtained by this process.
    pub(super) is_from_store: bool,
    /// Obtained, and not in the store yet: not in force.
    pub(super) unsaved: Option<Pair>,
    /// What stands in the way of renewing.
    pub(super) trouble: Option<Trouble>,
    /// amoCRM did not accept the access token, whatever its age.
    pub(super) access_refused: bool,
    rest_until: Millis,
    rest_fault: Option<Fault>,
    failures: u32,
}

impl State {
    /// These are in force now; what was known of others is void.
    pub(super) fn adopt(&mut self, tokens: Tokens) {
        let Tokens { pair, trouble } = tokens;
        *self = State { is_loaded: true, pair, is_from_store: true, trouble, ..State::default() };
    }

    pub(super) fn need(&self, now: Millis) -> Need {
        let Some(pair) = &self.pair else { return Need::Now };
        match () {
            () if self.access_refused || now >= pair.expires_at => Need::Now,
            () if now >= token::renew_at(pair.obtained_at, pair.expires_at) => Need::Soon,
            () => Need::Nothing,
        }
    }

    /// Why nothing is tried at this time.
    pub(super) fn resting(&self, now: Millis) -> Option<Fault> {
        let wait_ms = self.rest_until.since(now);
        // A clock that was set back must not lengthen it.
        self.rest_fault.clone().filter(|_| wait_ms > 0 && wait_ms <= REFUSED_LAST_MS)
    }

    pub(super) fn rested(&self, now: Millis) -> bool {
        self.resting(now).is_none()
    }

    /// Nothing is tried for a while; how long, in milliseconds.
    pub(super) fn rest(&mut self, now: Millis) -> i64 {
        self.rest_for(REST_FIRST_MS, REST_LAST_MS, now)
    }

    pub(super) fn rest_after_refusal(&mut self, now: Millis) -> i64 {
        self.rest_for(REFUSED_FIRST_MS, REFUSED_LAST_MS, now)
    }

    fn rest_for(&mut self, first_ms: i64, last_ms: i64, now: Millis) -> i64 {
        let rest_ms = first_ms.saturating_mul(1 << self.failures.min(16)).min(last_ms);
        self.failures = self.failures.saturating_add(1);
        self.rest_until = now.plus(rest_ms);
        rest_ms
    }

    /// What those are told who ask meanwhile.
    pub(super) fn rests_because_of(&mut self, fault: Fault) {
        self.rest_fault = Some(fault);
    }

    pub(super) fn standing(&self, bridge: &str, now: Millis) -> Standing {
        // A token that was refused before its time is over now.
        let times = self.pair.as_ref().map(Pair::times).map(|mut times| {
            if self.access_refused {
                times.expires_at = times.expires_at.min(now);
            }
            times
        });
        token::oauth(bridge, times, self.trouble.as_ref(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fault::FaultKind;

    #[test]
    fn rests_grow_to_a_bound_and_do_not_outlast_a_clock_that_was_set_back() {
        let mut state = State::default();
        state.rests_because_of(Fault::new(FaultKind::Blocked, "x"));
        let now = Millis(1_760_000_000_000);
        let rests: Vec<i64> = (0..10)
            .map(|_| {
                state.rest(now);
                (0..).map(|s| s * 1_000).find(|ms| state.rested(now.plus(*ms))).unwrap_or_default()
            })
            .collect();
        assert_eq!(rests, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(|s| s * 1_000));
        assert!(state.rested(now.minus(86_400_000)));
    }
}
