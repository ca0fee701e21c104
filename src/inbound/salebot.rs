//! The webhook of a Salebot project: each message of each client, in either direction.
//!
//! There is no second delivery (Salebot API page: "if the request returned an error, there will be
//! no re-sending"). So what can be stored is stored and answered 200, readable or not: refusing it
//! would lose it. Only a body of nobody, one without a `client`, is counted and dropped: it belongs
//! to no dialogue. 503 is left for a store that cannot take the body, in case somebody does repeat.

mod decode;

pub use decode::SalebotDecoder;

use super::secret::Digest;
use super::{Counters, Door, Inbound, body, not_found, plain};
use crate::ports::store::{NewInbox, Received, Source, Stored};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use decode::Glance;
use std::sync::Arc;

/// `POST /hooks/salebot/{bridge}/{secret}`
///
/// 200 once the body is on disk, and for bodies of nobody; 404 for a wrong bridge or secret, in the
/// same words; 413, 408 and 400 for a body that is too large, too slow or broken off; 503 when it
/// cannot be stored.
pub(super) async fn receive(
    State(state): State<Arc<Inbound>>,
    address: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(bridge) = address.ok().and_then(|Path((bridge, secret))| entered(&state, bridge, &secret)) else {
        Counters::add(&state.counters.refused);
        return not_found().await;
    };
    let bytes = match body::read(&headers, body, state.limits).await {
        Ok(bytes) => bytes,
        Err(status) => {
            Counters::add(&state.counters.refused);
            tracing::warn!(
                bridge,
                status = status.as_u16(),
                "a pushed body was not taken: too large, too slow or cut off"
            );
            return refusal(status);
        }
    };
    take(&state, bridge, bytes).await
}

/// The bridge whose secret this is. An unknown bridge takes as long as a wrong secret.
fn entered(state: &Inbound, bridge: String, secret: &str) -> Option<String> {
    let door = state.doors.get(&bridge);
    let is_right = door.map_or(&Digest::NOBODY, |door| &door.secret).is(secret);
    (is_right && door.is_some()).then_some(bridge)
}

fn refusal(status: StatusCode) -> Response {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => plain(status, "too large\n"),
        StatusCode::REQUEST_TIMEOUT => plain(status, "too slow\n"),
        _ => plain(status, "broken off\n"),
    }
}

async fn take(state: &Arc<Inbound>, bridge: String, bytes: Vec<u8>) -> Response {
    let Some(door) = state.doors.get(&bridge) else { return not_found().await };
    let glance = door.decoder.glance(&bytes);
    if glance == Glance::Nobody {
        Counters::add(&state.counters.dropped);
        tracing::info!(bridge, "a pushed body names no client and is dropped");
        return plain(StatusCode::OK, "ok\n");
    }
    let row = inbox_row(state, bridge, bytes, glance);
    // The sender may hang up now, which drops this future: storing goes on in a task of ours.
    let storing = state.tasks.spawn(store(state.clone(), row));
    match storing.await {
        Ok(true) => plain(StatusCode::OK, "ok\n"),
        Ok(false) | Err(_) => unavailable(),
    }
}

fn inbox_row(state: &Inbound, bridge: String, body: Vec<u8>, glance: Glance) -> NewInbox {
    let received_at = state.env.now();
    let row = NewInbox {
        bridge,
        source: Source::Salebot,
        dedupe: None,
        client: None,
        message: None,
        received_at,
        body,
        broken: None,
    };
    match glance {
        Glance::Line { dedupe, client, message } => NewInbox { dedupe, client: Some(client), message, ..row },
        Glance::Broken(reason) => NewInbox { broken: Some(reason), ..row },
        Glance::Nobody => row,
    }
}

/// True when the body is safe.
async fn store(state: Arc<Inbound>, row: NewInbox) -> bool {
    let (bridge, is_broken) = (row.bridge.clone(), row.broken.is_some());
    let received = state.store.receive(row).await;
    count(&state.counters, &received, is_broken);
    match received {
        Ok(_) => {
            if is_broken {
                tracing::warn!(bridge, "a pushed body cannot be read and is kept as a dead letter");
            }
            state.doors.get(&bridge).map(Door::ring);
            true
        }
        Err(error) => {
            tracing::error!(bridge, error = %error, "a pushed body could not be stored and was answered 503");
            false
        }
    }
}

fn count(counters: &Counters, received: &Stored<Received>, is_broken: bool) {
    match received {
        Ok(Received::Stored(_)) => {
            Counters::add(&counters.stored);
            if is_broken {
                Counters::add(&counters.broken);
            }
        }
        Ok(Received::Known) => Counters::add(&counters.known),
        Err(_) => Counters::add(&counters.failed),
    }
}

impl Door {
    fn ring(&self) {
        self.bell.ring();
    }
}

fn unavailable() -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "cannot be stored now\n").into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
