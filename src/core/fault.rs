//! Why an outside call did not do what was asked. The engine branches on the kind alone.

use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of failure; `retry::decide` says what follows from each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// It may work the next time and repeating is harmless: no connection, 5xx, a timeout of a read.
    Transient,
    /// The account's limit: the whole lane waits.
    Throttled {
        /// Milliseconds the service asked for.
        after_ms: Option<i64>,
    },
    /// It may have been done: the answer to a write that must not be repeated was lost.
    Uncertain,
    /// The record has changed since the plan was made.
    Changed,
    /// The record is not there any more.
    Gone,
    /// The service refuses this content; it will not change its mind.
    Rejected,
    /// The service does not accept us: key, token or rights.
    Auth,
    /// The account is blocked; whatever is sent makes it worse.
    Blocked,
    /// We are shutting down.
    Interrupted,
    /// An answer we cannot read, or a rule of our own that is broken.
    Broken,
}

impl FaultKind {
    /// The word for logs and dead letters.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Transient => "transient",
            FaultKind::Throttled { .. } => "throttled",
            FaultKind::Uncertain => "uncertain",
            FaultKind::Changed => "changed",
            FaultKind::Gone => "gone",
            FaultKind::Rejected => "rejected",
            FaultKind::Auth => "auth",
            FaultKind::Blocked => "blocked",
            FaultKind::Interrupted => "interrupted",
            FaultKind::Broken => "broken",
        }
    }
}

impl FaultKind {
    /// What to do about a dead letter that failed in this way.
    pub fn remedy(self) -> &'static str {
        match self {
            FaultKind::Transient => {
                "The service answered with errors for hours. See whether it works again (`salebridge status`), then retry."
            }
            FaultKind::Uncertain => {
                "It may have been done: the answer was lost. Look at the record first. Retry what is not there (it is looked up before it is sent; a callback cannot be and is sent at once), discard what is."
            }
            FaultKind::Rejected => {
                "The service refuses this content. Correct the value where it came from, or the mapping: the corrected value is carried over by itself, and this can be discarded. Retry if the refusal had another cause, a missing right or a deleted field."
            }
            FaultKind::Broken => {
                "The answer could not be understood, or a rule of the program was broken. Look at the record; retry if it lacks the change, and report the reason together with the log."
            }
            FaultKind::Gone => {
                "The record it belongs to is gone. For a note: make the person's contact, or link one by its number, its address or the variable amo_contact_id, then retry, and it is written there. Discard it if nobody misses it."
            }
            FaultKind::Throttled { .. }
            | FaultKind::Auth
            | FaultKind::Blocked
            | FaultKind::Changed
            | FaultKind::Interrupted => "Retry: faults of this kind pass.",
        }
    }
}

/// A failure with its reason for the reader of a log: no keys, no secrets, nothing people wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Fault {
    /// What follows from it.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// What happened, in words.
    pub reason: String,
    /// When, where that matters: since when it is not known whether a write has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Millis>,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, reason: impl Into<String>) -> Fault {
        Fault { kind, reason: reason.into(), at: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.kind.name())
    }
}
