//! Posts the webhooks a service owes: each once, in order within a lane, lanes side by side.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Clock, OutgoingWebhook, Service, lock};

/// Webhooks that wait for one worker; the rest stay with the dispatcher.
const WORKER_QUEUE: usize = 64;
/// How many outcomes are remembered.
const LOG_LIMIT: usize = 10_000;
/// How often the service is looked at when nothing rings: people's doings make no request.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How webhooks are sent.
#[derive(Clone)]
pub struct SenderOptions {
    /// The address for webhooks that name none. It may hold a secret and is never printed.
    pub url: String,
    /// How many are posted at once.
    pub concurrency: usize,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// The service's clock.
    pub clock: Clock,
    /// Rings when there may be something to send, see [`super::Server::answered`].
    pub wake: Arc<Notify>,
    /// Ends the sender, and may end others with it.
    pub stop: CancellationToken,
}

/// How one webhook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookOutcome {
    /// Its number in the service.
    pub id: i64,
    /// The status code; none when no answer came.
    pub status: Option<u16>,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// How the webhooks ended so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookCounts {
    /// Answered with 2xx.
    pub delivered: u64,
    /// Answered with anything else.
    pub refused: u64,
    /// Not answered: no connection, or too slow.
    pub failed: u64,
    /// Not sent, because the sender was stopped first.
    pub abandoned: u64,
}

#[derive(Debug, Default)]
struct Book {
    counts: WebhookCounts,
    log: VecDeque<WebhookOutcome>,
}

impl Book {
    fn enter(&mut self, outcome: WebhookOutcome) {
        match outcome.status {
            Some(200..=299) => self.counts.delivered += 1,
            Some(_) => self.counts.refused += 1,
            None => self.counts.failed += 1,
        }
        self.log.push_back(outcome);
        if self.log.len() > LOG_LIMIT {
            self.log.pop_front();
        }
    }
}

/// A running sender.
#[derive(Debug)]
pub struct WebhookSender {
    book: Arc<Mutex<Book>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl WebhookSender {
    /// Starts to post what the service owes. Fails when no HTTP client can be built.
    pub fn start<S: Service + 'static>(service: Arc<Mutex<S>>, options: SenderOptions) -> Result<Self, reqwest::Error> {
        let client = build_client(options.timeout_ms)?;
        let (book, tasks) = (Arc::new(Mutex::new(Book::default())), TaskTracker::new());
        let stop = options.stop.child_token();
        let mut lanes = Vec::new();
        for _ in 0..options.concurrency.max(1) {
            let (sender, receiver) = mpsc::channel(WORKER_QUEUE);
            lanes.push(sender);
            let worker = Worker {
                client: client.clone(),
                url: options.url.clone(),
                clock: Arc::clone(&options.clock),
                service: Arc::clone(&service),
                book: Arc::clone(&book),
                stop: stop.clone(),
            };
            tasks.spawn(worker.run(receiver));
        }
        let dispatcher = Dispatcher { service, options, lanes, book: Arc::clone(&book), stop: stop.clone() };
        tasks.spawn(dispatcher.run());
        Ok(Self { book, stop, tasks })
    }

    /// How the webhooks ended so far.
    pub fn counts(&self) -> WebhookCounts {
        lock(&self.book).counts
    }

    /// The latest outcomes, oldest first.
    pub fn log(&self) -> Vec<WebhookOutcome> {
        lock(&self.book).log.iter().copied().collect()
    }

    /// Ends the posts in flight, counts the rest as abandoned, returns when all tasks are gone.
    pub async fn stop(self) -> WebhookCounts {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        lock(&self.book).counts
    }
}

/// No redirects and no retries: they would post a webhook twice. No proxy: the receiver is our own machine.
fn build_client(timeout_ms: u64) -> Result<reqwest::Client, reqwest::Error> {
    // Someone may have installed a provider already, and theirs is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .timeout(Duration::from_millis(timeout_ms))
        .build()
}

struct Dispatcher<S> {
    service: Arc<Mutex<S>>,
    options: SenderOptions,
    lanes: Vec<mpsc::Sender<OutgoingWebhook>>,
    book: Arc<Mutex<Book>>,
    stop: CancellationToken,
}

impl<S: Service> Dispatcher<S> {
    async fn run(self) {
        while !self.stop.is_cancelled() {
            for webhook in self.take() {
                self.hand_over(webhook).await;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.options.wake.notified() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn take(&self) -> Vec<OutgoingWebhook> {
        let now_ms = (self.options.clock)();
        let mut service = lock(&self.service);
        service.advance(now_ms);
        service.take_webhooks()
    }

    /// A lane always goes to the same worker: that keeps its order.
    async fn hand_over(&self, webhook: OutgoingWebhook) {
        let workers = i64::try_from(self.lanes.len()).unwrap_or(1);
        let place = usize::try_from(webhook.lane.rem_euclid(workers)).unwrap_or(0);
        let sent = tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            sent = self.lanes[place].send(webhook) => sent.is_ok(),
        };
        if !sent {
            lock(&self.book).counts.abandoned += 1;
        }
    }
}

struct Worker<S> {
    client: reqwest::Client,
    url: String,
    clock: Clock,
    service: Arc<Mutex<S>>,
    book: Arc<Mutex<Book>>,
    stop: CancellationToken,
}

impl<S: Service> Worker<S> {
    async fn run(self, mut queue: mpsc::Receiver<OutgoingWebhook>) {
        while let Some(webhook) = queue.recv().await {
            if self.stop.is_cancelled() {
                lock(&self.book).counts.abandoned += 1;
                continue;
            }
            let id = webhook.id;
            let status = self.post(webhook).await;
            let outcome = WebhookOutcome { id, status, at_ms: (self.clock)() };
            lock(&self.service).webhook_posted(&outcome);
            lock(&self.book).enter(outcome);
        }
    }

    /// The status code, if an answer came. The error itself would show the address: it is dropped.
    async fn post(&self, webhook: OutgoingWebhook) -> Option<u16> {
        let url = webhook.destination.as_deref().unwrap_or(&self.url);
        let mut request = self.client.post(url).header("content-type", webhook.content_type).body(webhook.body);
        for (name, value) in webhook.headers {
            request = request.header(name, value);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the simulated service is its own sender; it shares nothing with the adapters"
        )]
        let response = request.send().await.ok()?;
        Some(response.status().as_u16())
    }
}
