//! An undo: what is asked for, and how far it is, in the form in which both are kept. The command asks by a text in
//! the store and reads the other one; whoever drives the bridge carries it out.

use super::link::Content;
use super::run::{Run, RunKind, Target};
use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name under which an undo is asked for: a [`Request`], or empty to stop it between two pages.
pub const REQUEST: &str = "undo.request";
/// The name under which it is told how far it is: a [`Progress`].
pub const PROGRESS: &str = "undo.progress";
/// The kind of the journal's lines about values that an undo left: a [`Line`].
pub const LEFT: &str = "left";
/// The kind of the journal's lines about records that were edited before an undo's write reached them: a
/// `WroteLine`. Its values are left.
pub const OVERTAKEN: &str = "overtaken";
/// The actions that write values, by name.
pub const WRITES: [&str; 4] = ["update_contact", "update_lead", "save_variables", "set_order_variables"];
/// Most lines of a run that are read. One line is one record's.
pub const WROTE_MAX: u32 = 500_000;
/// Most values that are told one by one; all are counted.
pub const LINES_MAX: usize = 1_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// When it was asked for; tells one undo from the next.
    pub asked_at: Millis,
    /// What is to be undone.
    pub run: Run,
    /// Of this value alone: a pair's name, or either side of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Nothing is written, and nothing is remembered.
    pub dry_run: bool,
}

impl Request {
    /// The undo's own run, which can be undone in its turn.
    pub fn own_run(&self) -> Run {
        Run { at: self.asked_at, kind: RunKind::Undo }
    }

    /// True when it asks for the same, whenever that was: then it is gone on with.
    pub fn is_like(&self, other: &Request) -> bool {
        Request { asked_at: other.asked_at, ..self.clone() } == *other
    }

    /// True for a pair that is to be undone.
    pub fn wants(&self, rule: &str) -> bool {
        let is_side =
            |field: &str| rule.rsplit_once('=').is_some_and(|(amo, salebot)| field == amo || field == salebot);
        self.field.as_deref().is_none_or(|field| field == rule || is_side(field))
    }
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is put back.
    PutBack,
    /// It is as it was before the run already.
    Already,
    /// Somebody edited it since: it is left.
    Edited,
    /// What stood there before is not known: it is left.
    Unknown,
    /// It cannot be put back: it is left.
    Refused,
    /// The record is gone.
    Gone,
}

impl What {
    /// All of them, in the order in which they are told.
    pub const ALL: [What; 6] = [What::PutBack, What::Already, What::Edited, What::Unknown, What::Refused, What::Gone];

    /// The word for tables and programs.
    pub fn name(self) -> &'static str {
        match self {
            What::PutBack => "put_back",
            What::Already => "already",
            What::Edited => "edited",
            What::Unknown => "unknown",
            What::Refused => "refused",
            What::Gone => "gone",
        }
    }

    /// True for values that stay although they are not as they were before the run.
    pub fn is_left(self) -> bool {
        match self {
            What::PutBack | What::Already => false,
            What::Edited | What::Unknown | What::Refused | What::Gone => true,
        }
    }
}

/// What becomes of one value. Holds what people wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Of which record.
    pub target: Target,
    /// Which value, as the configuration names it.
    pub place: String,
    /// The pair that led to it.
    pub rule: String,
    /// What becomes of it.
    pub what: What,
    /// Why it is left; empty where it is not.
    pub told: String,
    /// What stood there before the run; none where nobody had read it.
    pub before: Option<Content>,
    /// What the run left there.
    pub after: Content,
    /// What stands there now; none where it could not be read.
    pub now: Option<Content>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What was asked for.
    pub request: Request,
    /// Records the run wrote to.
    pub records: u64,
    /// Records that were dealt with, in the order of their names; this is the last one.
    pub after: Option<Target>,
    /// How many those are.
    pub dealt_with: u64,
    /// Values by what becomes of them.
    pub counts: BTreeMap<What, u64>,
    /// Values that were or would be cleared by it.
    pub cleared: u64,
    /// The first values, one by one; [`LINES_MAX`] at most, those that are left before the others.
    pub lines: Vec<Line>,
    /// Why it does not go on at the moment.
    pub fault: Option<String>,
    /// When it came to its end.
    pub done_at: Option<Millis>,
}

impl Progress {
    /// The beginning.
    pub fn new(request: Request) -> Progress {
        Progress {
            request,
            records: 0,
            after: None,
            dealt_with: 0,
            counts: BTreeMap::new(),
            cleared: 0,
            lines: Vec::new(),
            fault: None,
            done_at: None,
        }
    }

    /// Counts what is decided about a record.
    pub fn take(&mut self, target: Target, lines: Vec<Line>) {
        self.after = self.after.max(Some(target));
        self.dealt_with += 1;
        self.fault = None;
        for line in lines {
            *self.counts.entry(line.what).or_default() += 1;
            self.cleared += u64::from(line.what == What::PutBack && line.before.as_ref().is_some_and(Vec::is_empty));
            if self.lines.len() < LINES_MAX {
                self.lines.push(line);
            } else if line.what.is_left()
                && let Some(held) = self.lines.iter_mut().rev().find(|held| !held.what.is_left())
            {
                *held = line;
            }
        }
    }

    /// Values of this kind.
    pub fn count(&self, what: What) -> u64 {
        self.counts.get(&what).copied().unwrap_or_default()
    }

    /// Values that are left although they are not as they were.
    pub fn left(&self) -> u64 {
        self.counts.iter().filter(|(what, _)| what.is_left()).map(|(_, count)| count).sum()
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
