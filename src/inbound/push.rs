//! What all pushed bodies have in common: who may push, within which bounds, and that nothing is answered before it is stored.

use super::secret::Digest;
use super::{Counters, Door, Inbound, body, plain};
use crate::ports::store::{NewInbox, Received, Source, Stored};
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Bridge and secret of an address.
pub(super) type Address = Result<Path<(String, String)>, PathRejection>;

/// The bridge whose secret this is; none is counted. An unknown bridge takes as long as a wrong secret.
pub(super) fn entered(state: &Inbound, address: Address, secret_of: fn(&Door) -> Option<&Digest>) -> Option<String> {
    let bridge = address.ok().and_then(|Path((bridge, secret))| {
        let own = state.doors.get(&bridge).and_then(secret_of);
        let is_right = own.unwrap_or(&Digest::NOBODY).is(&secret);
        if !is_right && own.is_some() && state.misled.asks(bridge.clone(), state.env.now()) {
            tracing::warn!(
                bridge,
                "somebody posts to this bridge's address with another secret and is answered 404; if that is Salebot or amoCRM, the end of the address there is not the webhook_secret of this configuration"
            );
        }
        (is_right && own.is_some()).then_some(bridge)
    });
    if bridge.is_none() {
        Counters::add(&state.counters.refused);
    }
    bridge
}

/// The body within its bounds, or the answer that refuses it.
pub(super) async fn read(state: &Inbound, bridge: &str, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Response> {
    body::read(headers, body, state.limits).await.map_err(|status| {
        Counters::add(&state.counters.refused);
        tracing::warn!(bridge, status = status.as_u16(), "a pushed body was not taken: too large, too slow or cut off");
        refusal(status)
    })
}

fn refusal(status: StatusCode) -> Response {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => plain(status, "too large\n"),
        StatusCode::REQUEST_TIMEOUT => plain(status, "too slow\n"),
        _ => plain(status, "broken off\n"),
    }
}

/// Answers 200 once the body is on disk, 503 when it cannot be stored.
pub(super) async fn keep(state: &Arc<Inbound>, row: NewInbox) -> Response {
    // The sender may hang up now, which drops this future: storing goes on in a task of ours.
    let storing = state.tasks.spawn(store(state.clone(), row));
    match storing.await {
        Ok(true) => plain(StatusCode::OK, "ok\n"),
        Ok(false) | Err(_) => unavailable(),
    }
}

/// True when the body is safe.
async fn store(state: Arc<Inbound>, row: NewInbox) -> bool {
    let (bridge, source, is_broken) = (row.bridge.clone(), row.source, row.broken.is_some());
    let received = state.store.receive(row).await;
    count(&state.counters, &received, is_broken);
    match received {
        Ok(_) => {
            state.turned_away.stored(&bridge);
            if is_broken {
                tracing::warn!(bridge, "a pushed body cannot be read and is kept as a dead letter");
            }
            if let Some(door) = state.doors.get(&bridge) {
                door.arrivals.bell.ring();
            }
            true
        }
        Err(error) => {
            let is_news = state.turned_away.failed(&bridge, &error, state.env.now());
            // What amoCRM told of is found by polls.
            if let Some(door) = state.doors.get(&bridge).filter(|_| source == Source::Salebot) {
                door.arrivals.miss();
            }
            if is_news {
                tracing::error!(
                    bridge,
                    "a pushed body could not be stored and was answered 503; so are the next ones, until that works again: {error}"
                );
            }
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

fn unavailable() -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "cannot be stored now\n").into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
