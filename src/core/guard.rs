//! What guards remember between passes, in the form in which it is kept: stopped passes and frozen
//! pairs, to be shown and to be released.

use super::action::LinkRef;
use super::time::Millis;
use serde::{Deserialize, Serialize};

/// The name under which stopped passes are kept: a list of [`Stop`].
pub const STOPS: &str = "guard.stops";
/// The name under which frozen pairs are kept: a list of [`Frozen`].
pub const FROZEN: &str = "guard.frozen";
/// The name under which a release is asked for; the daemon carries it out and clears it.
pub const RELEASE: &str = "guard.release";
/// The name under which the last sweep's numbers are kept: [`Sweep`].
pub const SWEEP: &str = "sweep.found";

/// The command that releases, for messages.
pub const COMMAND: &str = "salebridge release";

/// Most frozen pairs that are listed; more freeze all the same and are released with the next command.
pub const FROZEN_MAX: usize = 1_000;

/// How long a release waits for the pass it was given for.
pub const RELEASED_MS: i64 = 3_600_000;

/// A pass that a check stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Which pass: `contacts`, `leads`, `sweep`, `marks`.
    pub pass: String,
    /// The check.
    pub check: String,
    /// What it found, in words.
    pub reason: String,
    /// Since when it is stopped.
    pub since: Millis,
    /// When it was last tried.
    pub tried_at: Millis,
    /// When somebody released it; the next such pass goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Millis>,
}

impl Stop {
    /// True while the next pass goes through.
    pub fn is_released(&self, now: Millis) -> bool {
        self.released_at.is_some_and(|at| now.since(at) <= RELEASED_MS)
    }

    /// What happened and what releases it.
    pub fn told(&self, bridge: &str) -> String {
        format!(
            "the pass over {} is stopped: {}; nothing of it is recorded. If that is right: {COMMAND} --bridge {bridge}",
            self.pass, self.reason
        )
    }
}

/// A pair of values that changed direction too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Whose.
    pub link: LinkRef,
    /// Which pair (`Rule::key`).
    pub rule: String,
    /// Since when.
    pub since: Millis,
}

impl Frozen {
    /// The record's key: `client:5`, `lead:301`.
    pub fn subject(&self) -> String {
        match self.link {
            LinkRef::Client(id) => super::action::client_key(id),
            LinkRef::Lead(id) => super::action::lead_key(id),
        }
    }

    /// What happened and what releases it.
    pub fn told(&self, bridge: &str) -> String {
        format!(
            "{} of {} changed direction too often and is not written any more. When its cause is gone: {COMMAND} --bridge {bridge}",
            self.rule,
            self.subject()
        )
    }
}

/// What the last full sweep found. All but `checked` should be nought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sweep {
    /// When it ended.
    pub at: Millis,
    /// Rows it listed.
    pub listed: u64,
    /// Changes that the polls had missed.
    pub missed: u64,
    /// Linked contacts and open leads that are gone.
    pub gone: u64,
}

/// A kept list; what cannot be read counts as empty, so that a damaged text stops nothing.
pub fn kept<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Vec<T> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A list as it is kept.
pub fn text_of<T: Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_else(|_| "[]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::{ClientId, LeadId};

    #[test]
    fn lists_come_back_as_they_were_kept() {
        let frozen = |link| Frozen { link, rule: "contact.name client.full".to_owned(), since: Millis(5) };
        let all = vec![frozen(LinkRef::Client(ClientId(5))), frozen(LinkRef::Lead(LeadId(301)))];
        assert_eq!(kept::<Frozen>(Some(&text_of(&all))), all);
        assert_eq!(all[1].subject(), "lead:301");
        assert_eq!(kept::<Frozen>(Some("{")), Vec::new());
        assert_eq!(kept::<Frozen>(None), Vec::new());
    }

    #[test]
    fn a_release_does_not_wait_for_ever() {
        let stop = |released_at| Stop {
            pass: "contacts".to_owned(),
            check: "blast_radius".to_owned(),
            reason: "it would clear 60 values in 60 records".to_owned(),
            since: Millis(0),
            tried_at: Millis(0),
            released_at,
        };
        assert!(!stop(None).is_released(Millis(0)));
        assert!(stop(Some(Millis(0))).is_released(Millis(RELEASED_MS)));
        assert!(!stop(Some(Millis(0))).is_released(Millis(RELEASED_MS + 1)));
        assert!(stop(None).told("shop").ends_with("salebridge release --bridge shop"));
    }
}
