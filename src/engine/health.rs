//! How a bridge is doing: what last failed, what works.

use crate::core::gap::{self, Interval};
use crate::core::time::Millis;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Shared with health checks; written by the bridge.
#[derive(Debug, Default)]
pub struct Health {
    parts: Mutex<BTreeMap<String, PartHealth>>,
    beats: std::sync::atomic::AtomicU64,
    hearing: Mutex<Option<Hearing>>,
    under_way: Mutex<BTreeSet<&'static str>>,
}

/// How far it is proven that no message is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearing {
    /// Everything written before this has reached us.
    pub heard: Millis,
    /// False from the start of the bridge, or a look that failed, until a look was complete.
    pub is_complete: bool,
    /// How long the next complete look may take to come, in milliseconds.
    pub late_after_ms: i64,
}

#[derive(Debug, Clone, Default)]
struct PartHealth {
    fault: Option<(String, Millis)>,
    ok_at: Option<Millis>,
}

/// A part of a bridge at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// `contacts`, `leads`, `account`, `amo`, `salebot` …
    pub part: String,
    /// Why it does not work, and since when; none: it works.
    pub fault: Option<(String, Millis)>,
    /// When it last worked.
    pub ok_at: Option<Millis>,
}

impl Health {
    /// Nothing known yet.
    pub fn new() -> Health {
        Health::default()
    }

    /// A part worked. True when it had failed before: worth a line in the log.
    pub fn worked(&self, part: &str, at: Millis) -> bool {
        let mut parts = self.lock();
        let part = parts.entry(part.to_owned()).or_default();
        part.ok_at = Some(at);
        self.beats.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        part.fault.take().is_some()
    }

    /// A part failed. The time of the first failure in a row is kept. True for that first one: a
    /// log tells of an outage once, not with every attempt.
    pub fn failed(&self, part: &str, reason: &str, at: Millis) -> bool {
        let mut parts = self.lock();
        let part = parts.entry(part.to_owned()).or_default();
        let known = part.fault.take().map(|(_, since)| since);
        part.fault = Some((reason.to_owned(), known.unwrap_or(at)));
        self.beats.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        known.is_none()
    }

    /// How far messages are proven.
    pub fn hears(&self, hearing: Hearing) {
        *self.hearing.lock().unwrap_or_else(PoisonError::into_inner) = Some(hearing);
    }

    /// The time in which messages may be missing, if any.
    pub fn unproven(&self, now: Millis) -> Option<Interval> {
        let hearing = (*self.hearing.lock().unwrap_or_else(PoisonError::into_inner))?;
        gap::unproven(hearing.heard, hearing.is_complete, hearing.late_after_ms, now)
    }

    /// A look at a service is due or under way: what changed there is not in the queues yet.
    pub fn begins(&self, pass: &'static str) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(pass);
    }

    /// It came to its end. One that failed stays under way until it is repeated.
    pub fn ends(&self, pass: &'static str) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(pass);
    }

    /// Looks that have begun, or have yet to begin for the first time since the start, and have not come to
    /// their end.
    pub fn under_way(&self) -> Vec<&'static str> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// How often any part reported: grows as long as the engine makes progress.
    pub fn beats(&self) -> u64 {
        self.beats.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// All parts.
    pub fn report(&self) -> Vec<HealthReport> {
        let parts = self.lock();
        let report = |(part, health): (&String, &PartHealth)| HealthReport {
            part: part.clone(),
            fault: health.fault.clone(),
            ok_at: health.ok_at,
        };
        parts.iter().map(report).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, PartHealth>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unproven_is_told_until_a_look_is_complete() {
        let health = Health::new();
        let now = Millis(10_000);
        assert_eq!(health.unproven(now), None, "nothing is known yet");
        let hearing = Hearing { heard: Millis(9_000), is_complete: false, late_after_ms: 2_000 };
        health.hears(hearing);
        assert_eq!(health.unproven(now), Some(Interval { from: Millis(9_000), to: now }));
        health.hears(Hearing { is_complete: true, ..hearing });
        assert_eq!(health.unproven(now), None);
        assert_eq!(health.unproven(Millis(11_001)), Some(Interval { from: Millis(9_000), to: Millis(11_001) }));
    }
}
