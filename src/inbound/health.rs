//! Whether the process lives, and whether it can do its work.

use super::Inbound;
use crate::core::seldom::Seldom;
use crate::core::time::Millis;
use crate::ports::store::StoreError;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What `GET /health/ready` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadyReport {
    /// Whether pushed bodies can be stored and the bridges run.
    pub ready: bool,
    /// Why not, and what else an operator should know; no secrets, nothing of people. Plain JSON.
    pub reasons: serde_json::Value,
}

/// Knows how the daemon is. Asked on every call, so it must not wait for anything.
pub trait Readiness: Send + Sync {
    /// How it is now.
    fn report(&self) -> ReadyReport;
}

/// Bridges whose last body could not be stored: why, and when.
#[derive(Debug, Default)]
pub(super) struct TurnedAway(Mutex<BTreeMap<String, (String, Millis)>>);

impl TurnedAway {
    /// Without another body nobody knows whether one could be stored by now.
    const KNOWN_MS: i64 = 60_000;

    fn bridges(&self) -> MutexGuard<'_, BTreeMap<String, (String, Millis)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for the first one since a body of the bridge could be stored, and after a minute without any: a log tells
    /// of an outage once, not with every body.
    pub(super) fn failed(&self, bridge: &str, error: &StoreError, now: Millis) -> bool {
        let before = self.bridges().insert(bridge.to_owned(), (error.to_string(), now));
        before.is_none_or(|(_, at)| !now.is_near(at, TurnedAway::KNOWN_MS))
    }

    pub(super) fn stored(&self, bridge: &str) {
        self.bridges().remove(bridge);
    }

    fn tell(&self, report: &mut ReadyReport, now: Millis) {
        for (bridge, (reason, since)) in self.bridges().iter() {
            if !now.is_near(*since, TurnedAway::KNOWN_MS) {
                continue;
            }
            report.ready = false;
            let state = report.reasons.get_mut(bridge);
            if let Some(faults) = state.and_then(|state| state.get_mut("faults")?.as_array_mut()) {
                faults.push(json!({ "part": "webhooks", "reason": reason, "since": since }));
            }
        }
    }
}

/// Bridges whose address was called with a wrong secret, told once an hour: strangers try doors without end.
pub(super) type Misled = Seldom<String, 3_600_000>;

pub(super) async fn live() -> Response {
    super::plain(StatusCode::OK, "live\n")
}

pub(super) async fn ready(State(state): State<Arc<Inbound>>) -> Response {
    let mut report = state.readiness.report();
    state.turned_away.tell(&mut report, state.env.now());
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_a_wrong_secret_once_an_hour() {
        let away = TurnedAway::default();
        let full = StoreError::Full("no space".to_owned());
        assert!(away.failed("shop", &full, Millis(1_000)));
        assert!(!away.failed("shop", &full, Millis(50_000)) && !away.failed("shop", &full, Millis(100_000)));
        assert!(away.failed("other", &full, Millis(100_000)), "each bridge for itself");
        assert!(away.failed("shop", &full, Millis(200_000)), "nobody knows what was in between");
        away.stored("shop");
        assert!(away.failed("shop", &full, Millis(200_001)), "it worked meanwhile");

        let misled = Misled::default();
        let is_news = |bridge: &str, at: i64| misled.asks(bridge.to_owned(), Millis(at));
        assert!(is_news("shop", 0) && is_news("other", 1));
        assert!(!is_news("shop", 3_599_999));
        assert!(is_news("shop", 3_600_000));
    }
}
