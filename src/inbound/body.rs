//! Reading a request's body within bounds of size and time.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use futures::StreamExt;
use std::time::Duration;

/// Bounds of a pushed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Most bytes.
    pub bytes_max: usize,
    /// Most milliseconds from the head of the request to the end of its body.
    pub time_max_ms: u64,
}

impl Default for BodyLimits {
    /// 1 MiB: a message has at most some kilobytes. 8 s: a sender that takes longer holds a
    /// connection that others need.
    fn default() -> BodyLimits {
        BodyLimits { bytes_max: 1024 * 1024, time_max_ms: 8_000 }
    }
}

/// The whole body, or the status that refuses it: 413 too large, whether announced or found out;
/// 408 too slow; 400 broken off.
pub(super) async fn read(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<Vec<u8>, StatusCode> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.bytes_max as u64) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let capacity = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let collecting = collect(body, capacity, limits.bytes_max);
    match tokio::time::timeout(Duration::from_millis(limits.time_max_ms), collecting).await {
        Ok(read) => read,
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn collect(body: Body, capacity: usize, bytes_max: usize) -> Result<Vec<u8>, StatusCode> {
    // The announced length is only believed so far: memory is for bytes that have come.
    const CAPACITY_MAX: usize = 16 * 1024;
    let mut bytes = Vec::with_capacity(capacity.min(CAPACITY_MAX));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
