//! amoCRM's webhooks: hints about records that were made, changed, deleted.
//!
//! amoCRM repeats a hook for a while after a bad answer, and switches a subscription off after too many of them (amoCRM
//! webhooks page: more than 100 within two hours). So 503 is for a store that cannot take the body and nothing else; a
//! body that cannot be read is kept as a dead letter, and one that names nothing of concern is answered and dropped.
//! The same hook twice is no matter: a hint only says where to look.

mod read;
mod tree;

pub use read::AmoReader;

use super::{Counters, Inbound, not_found, plain, push};
use crate::core::hint::Hints;
use crate::ports::store::{NewInbox, Source};
use crate::ports::watch::HintReader;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::sync::Arc;

/// `POST /hooks/amo/{bridge}/{secret}`
///
/// 200 once the body is on disk, and for bodies that name nothing of concern; 404 for a wrong bridge or secret, in the
/// same words; 413, 408 and 400 for a body that is too large, too slow or broken off; 503 when it cannot be stored.
pub(super) async fn receive(
    State(state): State<Arc<Inbound>>,
    address: push::Address,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(bridge) = push::entered(&state, address, |door| door.amo.as_ref()) else {
        return not_found().await;
    };
    let body = match push::read(&state, &bridge, &headers, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let broken = match AmoReader.hints(&body) {
        Ok(hints) if hints.is_empty() => return dropped(&state, &bridge, &hints),
        Ok(_) => None,
        Err(reason) => Some(reason),
    };
    let received_at = state.env.now();
    let row = NewInbox {
        bridge,
        source: Source::Amo,
        // A pipeline's hook holds no time: the same words twice may be two moves.
        dedupe: None,
        client: None,
        message: None,
        received_at,
        body,
        broken,
    };
    push::keep(&state, row).await
}

fn dropped(state: &Inbound, bridge: &str, hints: &Hints) -> Response {
    Counters::add(&state.counters.dropped);
    let told_of: Vec<&str> = hints.passed_over.iter().copied().collect();
    tracing::debug!(
        bridge,
        told_of = told_of.join(", "),
        "a webhook of amoCRM names nothing of concern and is dropped"
    );
    plain(StatusCode::OK, "ok\n")
}
