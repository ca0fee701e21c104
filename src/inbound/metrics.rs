//! `GET /metrics`: to this machine, and to who has the token.

use super::secret::Digest;
use super::{Inbound, PushCounts, plain};
use async_trait::async_trait;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a proxy adds: the request comes from elsewhere, whatever the connection says.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
/// OpenMetrics' text (OpenMetrics 1.0, "Text format").
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Tells the metrics.
#[async_trait]
pub trait Exposition: Send + Sync {
    /// All of them, as OpenMetrics' text; no secrets, nothing of people.
    ///
    /// Errors: why they cannot be told now.
    async fn text(&self, pushed: PushCounts) -> Result<String, String>;
}

/// Who may read which metrics.
pub struct MetricsDoor {
    exposition: Arc<dyn Exposition>,
    token: Option<Digest>,
    /// A scrape reads the store: one at a time is enough for everybody.
    turn: tokio::sync::Mutex<()>,
}

impl MetricsDoor {
    /// `token`: what opens it from other machines; none: they are kept out.
    pub fn new(exposition: Arc<dyn Exposition>, token: Option<&SecretString>) -> MetricsDoor {
        MetricsDoor { exposition, token: token.map(Digest::of_secret), turn: tokio::sync::Mutex::default() }
    }

    fn opens(&self, peer: SocketAddr, headers: &HeaderMap) -> bool {
        let is_local =
            peer.ip().to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(*name));
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let guess = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let has_token = self.token.as_ref().is_some_and(|token| token.is(guess));
        is_local || has_token
    }
}

pub(super) async fn metrics(
    State(state): State<Arc<Inbound>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let Some(door) = &state.metrics else { return plain(StatusCode::NOT_FOUND, "not found\n") };
    if !door.opens(peer, &headers) {
        let why = "metrics are for this machine; from elsewhere, or through a proxy, send `Authorization: Bearer …` with the value of http.metrics_token\n";
        return plain(StatusCode::FORBIDDEN, why);
    }
    let _turn = door.turn.lock().await;
    match door.exposition.text(state.counters.read()).await {
        Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(reason) => {
            tracing::warn!("metrics could not be told: {reason}");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; see the log\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    struct Nothing;

    #[async_trait]
    impl Exposition for Nothing {
        async fn text(&self, _pushed: PushCounts) -> Result<String, String> {
            Ok(String::new())
        }
    }

    #[rstest]
    #[case::local("127.0.0.1:5", &[], true)]
    #[case::local_v6("[::1]:5", &[], true)]
    #[case::local_in_v6("[::ffff:127.0.0.1]:5", &[], true)]
    #[case::through_a_proxy("127.0.0.1:5", &[("x-forwarded-for", "203.0.113.7")], false)]
    #[case::from_elsewhere("203.0.113.7:5", &[], false)]
    #[case::with_the_token("203.0.113.7:5", &[("authorization", "Bearer metrics-0123456789")], true)]
    #[case::with_another("203.0.113.7:5", &[("authorization", "Bearer metrics-012345678")], false)]
    #[case::without_the_word("203.0.113.7:5", &[("authorization", "metrics-0123456789")], false)]
    fn who_may_read(#[case] peer: &str, #[case] sent: &[(&'static str, &'static str)], #[case] expected: bool) {
        let token = SecretString::from("metrics-0123456789");
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.insert(*name, value.parse().unwrap());
        }
        let door = MetricsDoor::new(Arc::new(Nothing), Some(&token));
        assert_eq!(door.opens(peer.parse().unwrap(), &headers), expected);
        let closed = MetricsDoor::new(Arc::new(Nothing), None);
        assert!(!closed.opens("203.0.113.7:5".parse().unwrap(), &headers), "without a token for nobody else");
    }
}
