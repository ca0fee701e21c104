//! Whether a lane lets anything through: open, blocked by the service, or parked because the
//! service does not accept us.

use crate::core::fault::{Fault, FaultKind};

/// Why a lane is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// 403: whatever is sent makes it worse.
    Blocked,
    /// 401 or 402: key, token, rights or subscription.
    Parked,
}

/// How often a closed lane lets one request through to see whether it may open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probing {
    /// The first wait, milliseconds.
    pub(super) first_ms: i64,
    /// The longest wait; each failed probe doubles it up to here.
    pub(super) last_ms: i64,
}

/// The state of a closed lane.
#[derive(Debug)]
pub(super) struct Closed {
    /// Why.
    pub(super) reason: Reason,
    /// When one request may go, by the lane's clock.
    pub(super) probe_at_ms: i64,
    interval_ms: i64,
    /// The permit of the probe under way.
    probe: Option<u64>,
    /// What a human must do, where that is known.
    note: Option<String>,
}

/// Open, or closed with its probes.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: Option<Closed>,
    /// Permits up to this number were granted before the lane last closed; what becomes of them
    /// says nothing new.
    closed_at_permit: u64,
}

impl Gate {
    /// The closed state, if it is closed.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Closes, or keeps closed after a failed probe. `permit` is the one that was answered,
    /// `newest` the one granted last.
    pub(super) fn close(&mut self, reason: Reason, now_ms: i64, permit: u64, newest: u64, probing: Probing) {
        let interval_ms = match &self.closed {
            None => probing.first_ms,
            Some(closed) if closed.probe == Some(permit) => closed.interval_ms.saturating_mul(2).min(probing.last_ms),
            Some(_) => return,
        };
        let probe_at_ms = now_ms.saturating_add(interval_ms);
        let note = self.closed.take().and_then(|closed| closed.note).filter(|_| reason == Reason::Parked);
        self.closed = Some(Closed { reason, probe_at_ms, interval_ms, probe: None, note });
        self.closed_at_permit = newest;
    }

    /// Says what a human must do, if the service does not accept us.
    pub(super) fn explain(&mut self, note: &str) {
        if let Some(closed) = self.closed.as_mut().filter(|closed| closed.reason == Reason::Parked) {
            closed.note = Some(note.to_owned());
        }
    }

    /// Opens again after the service did not accept us. A block stays.
    pub(super) fn unpark(&mut self) {
        if self.closed.as_ref().is_some_and(|closed| closed.reason == Reason::Parked) {
            self.closed = None;
        }
    }

    /// The service accepted a request: opens, unless that request is older than the closing.
    pub(super) fn accepted(&mut self, permit: u64) {
        if permit > self.closed_at_permit {
            self.closed = None;
        }
    }

    /// A request ended without telling anything. If it was the probe, the next one comes later.
    pub(super) fn unclear(&mut self, permit: u64, now_ms: i64) {
        if let Some(closed) = self.closed.as_mut().filter(|closed| closed.probe == Some(permit)) {
            closed.probe = None;
            closed.probe_at_ms = now_ms.saturating_add(closed.interval_ms);
        }
    }

    /// The permit is the probe.
    pub(super) fn probe_with(&mut self, permit: u64) {
        if let Some(closed) = &mut self.closed {
            closed.probe = Some(permit);
        }
    }
}

impl Closed {
    /// True when one request may go now.
    pub(super) fn may_probe(&self, now_ms: i64) -> bool {
        self.probe.is_none() && now_ms >= self.probe_at_ms
    }

    /// What everybody else is told.
    pub(super) fn fault(&self, lane: &str, now_ms: i64) -> Fault {
        let next = match self.probe {
            Some(_) => "one request is finding out whether it is over".to_owned(),
            None => format!("next attempt in {} s", (self.probe_at_ms - now_ms).max(0).div_euclid(1000)),
        };
        match self.reason {
            Reason::Blocked => {
                Fault::new(FaultKind::Blocked, format!("{lane} has blocked us; nothing is sent, {next}"))
            }
            Reason::Parked => {
                let why = self.note.as_deref().unwrap_or("does not accept our key or rights; nothing is sent");
                Fault::new(FaultKind::Auth, format!("{lane}: {why}, {next}"))
            }
        }
    }
}
