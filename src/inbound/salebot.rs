//! The webhook of a Salebot project: each message of each client, in either direction.
//!
//! There is no second delivery (Salebot API page: "if the request returned an error, there will be
//! no re-sending"). So what can be stored is stored and answered 200, readable or not: refusing it
//! would lose it. Only a body of nobody, one without a `client`, is counted and dropped: it belongs
//! to no dialogue. 503 is left for a store that cannot take the body, in case somebody does repeat.

mod decode;

pub use decode::SalebotDecoder;

use super::{Counters, Inbound, not_found, plain, push};
use crate::ports::store::{NewInbox, Source};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
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
    let Some(bridge) = push::entered(&state, address, |door| Some(&door.secret)) else {
        return not_found().await;
    };
    match push::read(&state, &bridge, &headers, body).await {
        Ok(bytes) => take(&state, bridge, bytes).await,
        Err(refusal) => refusal,
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
    push::keep(state, inbox_row(state, bridge, bytes, glance)).await
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
