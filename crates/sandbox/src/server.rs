//! Puts a simulated service on a loopback port, and sends the webhooks it owes.
//!
//! One [`Server`] serves one [`Service`] under a plan of faults and a clock that the caller gives.
//! A lost request or answer is a connection that closes without a word, as it would be outside.

mod decode;
mod service;
mod webhooks;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::service::{OutgoingWebhook, Service, TokenTrouble};
pub use self::webhooks::{SenderOptions, WebhookCounts, WebhookOutcome, WebhookSender};
use super::faults::{Faults, ServiceName, serve};
use super::http::{Fate, Reply, Request, Response};

/// Largest request body: amoCRM and Salebot take far less, a client of theirs must not send more.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// Connections served at once; more wait in the listen queue.
const CONNECTION_LIMIT: usize = 1_024;
/// How long a request head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connections get to end their work once the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells the time in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How a service is put on loopback.
#[derive(Clone)]
pub struct ServerOptions {
    /// Which service the fault plan sees.
    pub name: ServiceName,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The service's clock.
    pub clock: Clock,
    /// Ends the server, and may end others with it.
    pub stop: CancellationToken,
}

/// A service on a loopback port.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    answered: Arc<Notify>,
}

impl Server {
    /// Binds the port and starts to serve.
    pub async fn start<S: Service + 'static>(
        service: Arc<Mutex<S>>,
        faults: Arc<Mutex<Faults>>,
        options: ServerOptions,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (tasks, answered) = (TaskTracker::new(), Arc::new(Notify::new()));
        let stop = options.stop.child_token();
        let host = Arc::new(Host {
            service,
            faults,
            name: options.name,
            clock: options.clock,
            stop: stop.clone(),
            answered: Arc::clone(&answered),
        });
        tasks.spawn(accept(listener, host, tasks.clone()));
        Ok(Self { address, stop, tasks, answered })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Rings after each request: a webhook sender need not wait for its next look.
    pub fn answered(&self) -> Arc<Notify> {
        Arc::clone(&self.answered)
    }

    /// Stops taking requests, ends those in flight, and returns when all tasks are gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct Host<S> {
    service: Arc<Mutex<S>>,
    faults: Arc<Mutex<Faults>>,
    name: ServiceName,
    clock: Clock,
    stop: CancellationToken,
    answered: Arc<Notify>,
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
struct Dropped;

async fn accept<S: Service + 'static>(listener: TcpListener, host: Arc<Host<S>>, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(CONNECTION_LIMIT));
    loop {
        let place = tokio::select! {
            () = host.stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        // The semaphore is never closed; if it were, there would be nothing left to serve.
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = host.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A connection that failed while it was accepted is its client's loss alone.
        let Ok((stream, _)) = accepted else { continue };
        let host = Arc::clone(&host);
        tasks.spawn(async move {
            serve_connection(stream, host).await;
            drop(place);
        });
    }
}

async fn serve_connection<S: Service + 'static>(stream: TcpStream, host: Arc<Host<S>>) {
    let stop = host.stop.clone();
    let answer = service_fn(move |request| {
        let host = Arc::clone(&host);
        async move { host.answer(request).await }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answer));
    // How a connection ends tells the client something, and the server nothing.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(STOP_TIMEOUT, connection).await;
        }
    }
}

impl<S: Service> Host<S> {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<hyper::Response<Body>, Dropped> {
        let (head, body) = request.into_parts();
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(status) => return Ok(plain_response(status)),
        };
        let request = decode::request(&head, body);
        let reply = self.serve(&request);
        self.answered.notify_one();
        match reply.fate {
            Fate::LostBefore | Fate::LostAfter => Err(Dropped),
            Fate::Arrives { after_ms } => {
                self.delay(after_ms).await;
                Ok(encode(reply.response))
            }
        }
    }

    /// The service is locked before the faults, everywhere, and neither lock outlives this call.
    fn serve(&self, request: &Request) -> Reply {
        let now_ms = (self.clock)();
        let mut service = lock(&self.service);
        let mut faults = lock(&self.faults);
        serve(&mut *service, &mut faults, self.name, now_ms, request)
    }

    /// Waits for a slow answer; a stop ends the wait and lets the answer out.
    async fn delay(&self, after_ms: u64) {
        if after_ms > 0 {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(after_ms)) => {}
            }
        }
    }
}

/// The whole body, or the status that refuses it.
async fn read_body(body: Incoming) -> Result<Vec<u8>, u16> {
    // A length that is announced is refused before a byte of it is read.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(413);
    }
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(Body::new(body), BODY_LIMIT)).await {
        Ok(Ok(body)) => Ok(body.to_vec()),
        Ok(Err(_)) => Err(413),
        Err(_) => Err(408),
    }
}

/// A service stays usable after a panic elsewhere: its methods leave it whole between calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(response: Response) -> hyper::Response<Body> {
    let mut builder = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name.as_str(), value.as_str());
    }
    // A header a script spelt wrongly must not take the server down.
    builder.body(Body::from(response.body)).unwrap_or_else(|_| plain_response(500))
}

fn plain_response(status: u16) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(Body::empty());
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    response
}

#[cfg(test)]
mod tests;
