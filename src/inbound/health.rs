//! Whether the process lives, and whether it can do its work.

use super::Inbound;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

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

pub(super) async fn live() -> Response {
    super::plain(StatusCode::OK, "live\n")
}

pub(super) async fn ready(State(state): State<Arc<Inbound>>) -> Response {
    let mut report = state.readiness.report();
    for (bridge, reason, since) in state.turned_away.now(state.env.now()) {
        report.ready = false;
        let faults = report.reasons.get_mut(&bridge).and_then(|bridge| bridge.get_mut("faults")?.as_array_mut());
        faults
            .into_iter()
            .for_each(|faults| faults.push(json!({ "part": "webhooks", "reason": reason, "since": since })));
    }
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}
