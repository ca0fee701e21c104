//! The HTTP side: what the services push to us, and what operators ask.
//!
//! | route | answers |
//! |---|---|
//! | `POST /hooks/salebot/{bridge}/{secret}` | 200 after the body is on disk; see `salebot.rs` |
//! | `POST /hooks/amo/{bridge}/{secret}` | the same, for hints of amoCRM; see `amo.rs` |
//! | `POST /hooks/salebot/{bridge}/probe` | 200 with a proof, to whoever holds the secret; see `probe.rs` |
//! | `POST`, `GET /functions/{bridge}/{function}` | flat JSON; see `functions.rs` |
//! | `GET /health/live` | 200 while the process answers at all |
//! | `GET /health/ready` | 200 or 503 with reasons |
//! | `GET /metrics` | 200 with Prometheus' text, to this machine and to who has the token |
//!
//! Addresses hold secrets. Logs name the matched route and never the path.

mod amo;
mod body;
mod functions;
mod health;
mod metrics;
mod probe;
mod push;
mod salebot;
mod secret;
mod server;

pub use amo::AmoReader;
pub use body::BodyLimits;
pub use health::{Readiness, ReadyReport};
pub use metrics::{Exposition, MetricsDoor};
pub use probe::probe_router;
pub use salebot::SalebotDecoder;
pub use server::{ServerLimits, serve};

use crate::core::flex::Notices;
use crate::core::probe::Key;
use crate::ports::env::{Arrivals, Env};
use crate::ports::store::Store;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use health::{Misled, TurnedAway};
use secrecy::{ExposeSecret, SecretString};
use secret::Digest;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};

/// The door of one bridge.
pub struct Door {
    secret: Digest,
    arrivals: Arc<Arrivals>,
    decoder: SalebotDecoder,
    functions: Option<functions::FunctionDoor>,
    amo: Option<Digest>,
    probe: Key,
}

impl Door {
    /// `secret` is the last part of the webhook's address; `arrivals` tells of bodies;
    /// `notices` tells what is no message.
    pub fn new(secret: &SecretString, arrivals: Arc<Arrivals>, notices: Notices) -> Door {
        Door {
            secret: Digest::of_secret(secret),
            arrivals,
            decoder: SalebotDecoder::new(notices),
            functions: None,
            amo: None,
            probe: Key::of_secret(secret.expose_secret()),
        }
    }

    /// Opens `/hooks/amo/…` too; `secret` is the last part of that address.
    #[must_use]
    pub fn with_amo_hooks(mut self, secret: &SecretString) -> Door {
        self.amo = Some(Digest::of_secret(secret));
        self
    }
}

/// What the HTTP side works with.
pub struct Inbound {
    doors: BTreeMap<String, Door>,
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    readiness: Arc<dyn Readiness>,
    limits: BodyLimits,
    metrics: Option<MetricsDoor>,
    tasks: TaskTracker,
    counters: Counters,
    turned_away: TurnedAway,
    misled: Misled,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("bridges", &self.doors.keys()).finish_non_exhaustive()
    }
}

impl Inbound {
    /// `doors` by the name of the bridge.
    pub fn new(
        doors: BTreeMap<String, Door>,
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        readiness: Arc<dyn Readiness>,
        limits: BodyLimits,
    ) -> Inbound {
        let (tasks, counters) = (TaskTracker::new(), Counters::default());
        let (turned_away, misled) = (TurnedAway::default(), Misled::default());
        Inbound { doors, store, env, readiness, limits, metrics: None, tasks, counters, turned_away, misled }
    }

    /// Serves `/metrics` too.
    #[must_use]
    pub fn with_metrics(mut self, metrics: MetricsDoor) -> Inbound {
        self.metrics = Some(metrics);
        self
    }

    /// What became of the pushed bodies since the start.
    pub fn counts(&self) -> PushCounts {
        self.counters.read()
    }

    /// Comes back when every body whose sender has hung up is stored too. For the end, after
    /// [`serve`] has come back.
    pub async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What became of pushed bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PushCounts {
    /// On disk, dead letters included.
    pub stored: u64,
    /// Of these, dead letters.
    pub broken: u64,
    /// There already.
    pub known: u64,
    /// Of nobody, and so dropped.
    pub dropped: u64,
    /// Not stored, because the store did not do it: answered 503.
    pub failed: u64,
    /// Turned away: wrong address, too large, too slow.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Counters {
    stored: AtomicU64,
    broken: AtomicU64,
    known: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> PushCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PushCounts {
            stored: of(&self.stored),
            broken: of(&self.broken),
            known: of(&self.known),
            dropped: of(&self.dropped),
            failed: of(&self.failed),
            refused: of(&self.refused),
        }
    }
}

/// All routes. The caller keeps the state for [`Inbound::counts`] and [`Inbound::settle`].
pub fn router(state: Arc<Inbound>) -> Router {
    Router::new()
        .route("/hooks/salebot/{bridge}/{secret}", post(salebot::receive))
        .route("/hooks/amo/{bridge}/{secret}", post(amo::receive))
        .route(probe::ROUTE, post(probe::of_daemon))
        .route("/functions/{bridge}/{function}", get(functions::call).post(functions::call))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                // Whoever causes a 5xx logs it with its reason; a poll of `/health/ready` must not fill the log.
                .on_failure(DefaultOnFailure::new().level(tracing::Level::DEBUG)),
        )
        .with_state(state)
}

fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    tracing::debug_span!("http", method = %request.method(), route)
}

/// The content of a panic may be anything, so nobody is told.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked; the answer was 500");
    plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}

async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "not found\n")
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
