//! Whether the process lives, and whether it can do its work.

use super::Inbound;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
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
    let report = state.readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}
