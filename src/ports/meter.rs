//! What the engine counts for whoever watches it.

use crate::core::action::Side;

/// How one attempt at an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was carried out, or had been.
    Done,
    /// It is tried again later.
    Retried,
    /// It was refused, or what it is about has changed: it is not carried out.
    Dropped,
    /// It is a dead letter.
    Dead,
}

impl End {
    /// As metrics tell it.
    pub fn name(self) -> &'static str {
        match self {
            End::Done => "done",
            End::Retried => "retried",
            End::Dropped => "dropped",
            End::Dead => "dead",
        }
    }
}

/// Counts what a bridge does. Called after the fact was stored; must not wait for anything.
pub trait Meter: Send + Sync {
    /// An attempt at an action ended, so many milliseconds after the action was decided.
    fn settled(&self, action: &'static str, side: Side, end: End, age_ms: i64);

    /// A line was decided for the journal.
    fn noticed(&self, kind: &'static str);
}

/// What was sent to both services so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Requests of the lowest priority: of backfills, undos and sweeps, and of the writes they led to.
    pub background: u64,
    /// Answers 429, to whatever request.
    pub throttled: u64,
}

impl Sent {
    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Sent) -> Sent {
        Sent {
            background: self.background.saturating_sub(before.background),
            throttled: self.throttled.saturating_sub(before.throttled),
        }
    }
}

/// Tells what was sent. Must not wait for anything.
pub trait Traffic: Send + Sync {
    /// Since the start of the process.
    fn sent(&self) -> Sent;
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmetered;

impl Traffic for Unmetered {
    fn sent(&self) -> Sent {
        Sent::default()
    }
}

impl Meter for Unmetered {
    fn settled(&self, _action: &'static str, _side: Side, _end: End, _age_ms: i64) {}

    fn noticed(&self, _kind: &'static str) {}
}
