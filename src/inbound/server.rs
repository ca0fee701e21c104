//! The accept loop. It bounds what a stranger can hold on to: connections, time for a head, bytes
//! of a head. The stock server of the web framework bounds none of these, and one half-sent head
//! keeps it from stopping.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bounds of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Most connections at a time. Further ones wait in the listen queue, unseen by us.
    pub connections_max: usize,
    /// Most milliseconds for the head of a request; also how long an idle connection is kept, so a
    /// proxy in front must give its idle connections up sooner.
    pub head_time_max_ms: u64,
    /// Most bytes buffered of a connection, and so of a head; at least 8 192.
    pub head_bytes_max: usize,
    /// Milliseconds that requests under way have left once the end was asked for.
    pub grace_ms: u64,
}

impl Default for ServerLimits {
    /// 1024 connections at 64 KiB are 64 MiB at worst. 5 s for a head: honest ones come in one packet.
    fn default() -> ServerLimits {
        ServerLimits { connections_max: 1024, head_time_max_ms: 5_000, head_bytes_max: 64 * 1024, grace_ms: 10_000 }
    }
}

/// After a failed accept (no file descriptors left, usually): time for some to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At the end, time for a head that is just arriving.
const HEAD_GRACE: Duration = Duration::from_millis(250);
/// The least buffer that hyper takes.
const HEAD_BYTES_MIN: usize = 8_192;

/// Serves until `shutdown`. Then the socket closes, idle connections end at once, requests under
/// way are answered within the grace, and what is left is cut off. Comes back when no connection is left.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken, limits: ServerLimits) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_time_max_ms))
        .max_buf_size(limits.head_bytes_max.max(HEAD_BYTES_MIN));
    let connections = TaskTracker::new();
    let ends = Ends { gentle: shutdown.clone(), hard: CancellationToken::new() };
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    while let Some((stream, peer, slot)) = next(&listener, &slots, &shutdown).await {
        connections.spawn(converse(builder.clone(), stream, peer, router.clone(), slot, ends.clone()));
    }
    drop(listener);
    connections.close();
    let grace = Duration::from_millis(limits.grace_ms);
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections are cut off: the time to finish is over");
        ends.hard.cancel();
        connections.wait().await;
    }
}

/// When connections end: after the request under way, or at once.
#[derive(Clone)]
struct Ends {
    gentle: CancellationToken,
    hard: CancellationToken,
}

/// The next connection once a slot is free; none at the end.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepting = async {
        // A semaphore that nobody closes always hands out slots.
        let slot = slots.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, slot)),
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(accepting).await.flatten()
}

/// Answers the requests of one connection.
async fn converse(
    builder: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    slot: OwnedSemaphorePermit,
    ends: Ends,
) {
    // Answers are tiny; without this they may wait for an acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "a connection keeps its delay");
    }
    let underway = Underway::default();
    let service = underway.marking(TowerToHyperService::new(router), peer);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let finished = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = ends.gentle.cancelled() => None,
    };
    let finished = match finished {
        Some(result) => Some(result),
        None => {
            connection.as_mut().graceful_shutdown();
            ends.hard.run_until_cancelled(last_answer(connection, &underway)).await.flatten()
        }
    };
    if let Some(Err(error)) = finished {
        tracing::debug!(error = %error, "a connection ended early");
    }
    drop(slot);
}

/// Lets a connection finish; none when it has no request under way and does not end by itself. A
/// half-sent head would else hold up the end for as long as it may take to arrive.
async fn last_answer<C: Future>(mut connection: Pin<&mut C>, underway: &Underway) -> Option<C::Output> {
    loop {
        match tokio::time::timeout(HEAD_GRACE, connection.as_mut()).await {
            Ok(result) => return Some(result),
            Err(_) if underway.is_any() => {}
            Err(_) => return None,
        }
    }
}

/// Knows of requests between the end of their head and their answer: each holds a share.
#[derive(Default)]
struct Underway(Arc<()>);

impl Underway {
    fn marking(
        &self,
        inner: TowerToHyperService<Router>,
        peer: SocketAddr,
    ) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Send {
        let shares = Arc::downgrade(&self.0);
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let share = shares.upgrade();
            let answering = inner.call(request);
            async move {
                let answer = answering.await;
                drop(share);
                answer
            }
        })
    }

    fn is_any(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
