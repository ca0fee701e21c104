//! The probe of a webhook's address: tells `doctor`, which asks from outside, that the request came to us.
//!
//! It takes the way of a delivery, so that it finds what would be in a delivery's way: the same folder, method and
//! kind of body. Who does not hold the secret gets the 404 of an unknown address; nothing is stored.

use super::{Inbound, not_found, plain};
use crate::core::probe::{Key, Question};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The address; no secret is as short as its last part.
pub(super) const ROUTE: &str = "/hooks/salebot/{bridge}/probe";
/// A question is shorter.
const QUESTION_BYTES_MAX: usize = 1024;

/// `POST /hooks/salebot/{bridge}/probe` of a daemon.
pub(super) async fn of_daemon(
    State(state): State<Arc<Inbound>>,
    bridge: Result<Path<String>, PathRejection>,
    body: Body,
) -> Response {
    let door = bridge.ok().and_then(|Path(bridge)| state.doors.get(&bridge));
    answer(door.map(|door| &door.probe), body).await
}

/// A stand-in for a daemon that does not run: it answers probes of these bridges, and 503 to all else, so that who
/// delivers something in the meantime knows that it was not taken.
pub fn probe_router(keys: BTreeMap<String, Key>) -> Router {
    let of_stand_in =
        async |State(keys): State<Arc<BTreeMap<String, Key>>>,
               bridge: Result<Path<String>, PathRejection>,
               body: Body| { answer(bridge.ok().and_then(|Path(bridge)| keys.get(&bridge)), body).await };
    Router::new()
        .route(ROUTE, post(of_stand_in))
        .fallback(async || plain(StatusCode::SERVICE_UNAVAILABLE, "not running\n"))
        .with_state(Arc::new(keys))
}

async fn answer(key: Option<&Key>, body: Body) -> Response {
    let bytes: Bytes = axum::body::to_bytes(body, QUESTION_BYTES_MAX).await.unwrap_or_default();
    let question = serde_json::from_slice::<Question>(&bytes).ok();
    match key.zip(question).and_then(|(key, question)| key.answer(&question)) {
        Some(answer) => (StatusCode::OK, [(CONTENT_TYPE, "text/plain; charset=utf-8")], answer).into_response(),
        None => not_found().await,
    }
}
