//! The one task that writes. Of what waits when it is free, bodies share one transaction and one sync to disk, and so does
//! everything else after them.

use super::inbox::{Delivery, Receive};
use super::open;
use super::trouble::{Tried, Trouble, copy};
use crate::ports::store::{StoreError, Stored};
use crate::store::counters::WriterCounters;
use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the writer. Callers wait beyond that.
pub(super) const QUEUE_JOBS_MAX: usize = 1024;

/// Requests that share one commit. More would not make a row cheaper, only the wait longer
/// (measured: a sync costs less than 64 rows).
pub(super) const BATCH_JOBS_MAX: usize = 512;

/// A request to the writer.
pub(super) enum Job {
    /// A body to be stored, together with others.
    Body(Delivery),
    /// Anything else.
    Work(Box<dyn Work>),
    /// Finish what waits and stop; answered when the file is closed.
    Close(oneshot::Sender<()>),
}

/// One piece of work inside a shared transaction.
#[async_trait]
pub(super) trait Work: Send {
    /// The bridge it writes to.
    fn bridge(&self) -> &str;

    /// Does it. On an error nothing of it remains, and it may be done again or [`Work::finish`] is told.
    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<()>;

    /// Tells those who wait what became of it.
    fn finish(self: Box<Self>, outcome: Stored<()>);
}

/// A request with one answer.
#[async_trait]
pub(super) trait Request: Send {
    /// What the caller gets.
    type Answer: Send;

    /// The bridge it writes to.
    fn bridge(&self) -> &str;

    /// Does it.
    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<Self::Answer>;
}

/// A request and the caller who waits for it.
pub(super) struct Queued<R: Request> {
    request: R,
    answer: Option<R::Answer>,
    caller: oneshot::Sender<Stored<R::Answer>>,
}

impl<R: Request> Queued<R> {
    /// Puts a request together with the place for its answer.
    pub(super) fn new(request: R) -> (Queued<R>, oneshot::Receiver<Stored<R::Answer>>) {
        let (caller, answer) = oneshot::channel();
        (Queued { request, answer: None, caller }, answer)
    }
}

#[async_trait]
impl<R: Request> Work for Queued<R> {
    fn bridge(&self) -> &str {
        self.request.bridge()
    }

    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<()> {
        self.answer = Some(self.request.apply(tx).await?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Stored<()>) {
        let Queued { answer, caller, .. } = *self;
        // A caller who left still had the work done.
        let _ = caller.send(outcome.and_then(|()| answer.ok_or_else(stopped)));
    }
}

/// The error of a call that the writer can no longer serve.
pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// What a piece of work writes with.
pub(super) struct Transaction<'w> {
    pub(super) connection: &'w mut SqliteConnection,
    bridges: &'w BTreeMap<String, i64>,
    /// How this transaction changes them.
    waiting_change: BTreeMap<i64, i64>,
}

impl Transaction<'_> {
    /// The number of a bridge.
    pub(super) fn bridge(&self, name: &str) -> Tried<i64> {
        self.bridges.get(name).copied().ok_or_else(|| Trouble::Told(stopped()))
    }

    /// Notes that so many more bodies wait.
    pub(super) fn count_waiting(&mut self, bridge: i64, change: i64) {
        *self.waiting_change.entry(bridge).or_default() += change;
    }
}

/// The task's own state.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    path: Arc<Path>,
    connection: Option<SqliteConnection>,
    bridges: BTreeMap<String, i64>,
    /// Waiting bodies by bridge, where they were counted already.
    waiting: BTreeMap<i64, i64>,
    inbox_rows_max: u64,
    counters: Arc<WriterCounters>,
    /// Held as long as the task runs, so that nobody else drives the file while it still writes.
    _lock: Option<File>,
}

impl Writer {
    /// A writer for an open connection.
    pub(super) fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        path: Arc<Path>,
        inbox_rows_max: u64,
        lock: Option<File>,
    ) -> Writer {
        Writer {
            options,
            path,
            connection: Some(connection),
            bridges: BTreeMap::new(),
            waiting: BTreeMap::new(),
            inbox_rows_max,
            counters: Arc::new(WriterCounters::default()),
            _lock: lock,
        }
    }

    /// What it counts.
    pub(super) fn counters(&self) -> Arc<WriterCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves requests until it is told to close or everybody who could ask is gone.
    pub(super) async fn serve(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut closers = Vec::new();
        let mut jobs = Vec::with_capacity(BATCH_JOBS_MAX);
        while queue.recv_many(&mut jobs, BATCH_JOBS_MAX).await > 0 {
            let mut bodies = Vec::new();
            let mut works: Vec<Box<dyn Work>> = Vec::new();
            for job in jobs.drain(..) {
                match job {
                    Job::Body(delivery) => bodies.push(delivery),
                    Job::Work(work) => works.push(work),
                    Job::Close(closer) => {
                        // Nobody can ask from here on; what was asked before is still served.
                        queue.close();
                        closers.push(closer);
                    }
                }
            }
            // Whoever pushed a body waits for it, and a second sync is nothing beside the longest of other works.
            if !bodies.is_empty() {
                self.take_in(bodies).await;
            }
            if !works.is_empty() {
                self.batch(works).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            // Closing checkpoints the WAL; a failure leaves it to the next one who opens the file.
            let _ = connection.close().await;
        }
        drop(self);
        for closer in closers {
            let _ = closer.send(());
        }
    }

    /// Bodies are one statement, which is a transaction of its own: whoever pushed them waits for nothing else.
    async fn take_in(&mut self, deliveries: Vec<Delivery>) {
        let begun = WriterCounters::begin();
        let mut receive = Receive::new(deliveries, self.inbox_rows_max);
        let stored = match self.known(receive.bridges()).await {
            Ok(()) => self.store(&mut receive).await,
            Err(trouble) => Err(trouble),
        };
        match &stored {
            Ok(()) => self.counters.committed(receive.rows(), begun),
            Err(_) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                self.roll_back().await;
            }
        }
        receive.finish(stored.map_err(|trouble| trouble.told(&self.path)));
    }

    async fn store(&mut self, receive: &mut Receive) -> Tried<()> {
        let connection = connected(&mut self.connection, &self.options, &self.path).await?;
        receive.store(connection, &self.bridges, &mut self.waiting).await
    }

    /// One transaction for all, one sync to disk, then everybody is told. Where one fails that is alone at fault, nothing
    /// remains of any, and each is done again in a transaction of its own: that is rare, and savepoints for it cost the
    /// others a fifth of their time (measured).
    async fn batch(&mut self, mut works: Vec<Box<dyn Work>>) {
        let outcome = self.transact(&mut works).await;
        let is_contained = outcome.as_ref().is_err_and(Trouble::is_contained);
        if let [_, _, ..] = works.as_slice()
            && is_contained
        {
            for mut work in works {
                let outcome = self.transact(std::slice::from_mut(&mut work)).await;
                work.finish(outcome.map_err(|trouble| trouble.told(&self.path)));
            }
            return;
        }
        let outcome = outcome.map_err(|trouble| trouble.told(&self.path));
        for work in works {
            work.finish(outcome.as_ref().copied().map_err(copy));
        }
    }

    /// All of them or none.
    async fn transact(&mut self, works: &mut [Box<dyn Work>]) -> Tried<()> {
        let begun = WriterCounters::begin();
        let done = self.attempt(works).await;
        match &done {
            Ok(()) => self.counters.committed(works.len() as u64, begun),
            Err(_) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                self.roll_back().await;
            }
        }
        done
    }

    async fn attempt(&mut self, works: &mut [Box<dyn Work>]) -> Tried<()> {
        self.known(works.iter().map(|work| work.bridge().to_owned()).collect()).await?;
        let connection = connected(&mut self.connection, &self.options, &self.path).await?;
        connection.execute("BEGIN IMMEDIATE").await?;
        let mut tx = Transaction { connection, bridges: &self.bridges, waiting_change: BTreeMap::new() };
        for work in works {
            work.apply(&mut tx).await?;
        }
        tx.connection.execute("COMMIT").await?;
        count(&mut self.waiting, tx.waiting_change);
        Ok(())
    }

    /// Gives bridges that are new a number.
    async fn known(&mut self, names: BTreeSet<String>) -> Tried<()> {
        for name in names {
            if let Entry::Vacant(place) = self.bridges.entry(name) {
                let connection = connected(&mut self.connection, &self.options, &self.path).await?;
                let query = sqlx::query_scalar(ADD_BRIDGE).bind(place.key().clone());
                place.insert(query.fetch_one(connection).await?);
            }
        }
        Ok(())
    }

    /// Leaves no transaction behind. After some failures SQLite has ended it already; a connection
    /// that cannot even say so is replaced before the next batch.
    async fn roll_back(&mut self) {
        if let Some(connection) = &mut self.connection
            && let Err(error) = connection.execute("ROLLBACK").await
            && error.as_database_error().is_none()
        {
            self.connection = None;
        }
    }
}

const ADD_BRIDGE: &str =
    "INSERT INTO bridges (name) VALUES (?1) ON CONFLICT (name) DO UPDATE SET name = name RETURNING id";

/// The writer's connection, made anew where the last one was given up.
async fn connected<'c>(
    connection: &'c mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
    path: &Path,
) -> Tried<&'c mut SqliteConnection> {
    match connection {
        Some(connection) => Ok(connection),
        None => Ok(connection.insert(open::prepared(options, path, false).await?)),
    }
}

/// Notes how many more bodies of each bridge wait, where they were counted before.
pub(super) fn count(waiting: &mut BTreeMap<i64, i64>, changes: BTreeMap<i64, i64>) {
    for (bridge, change) in changes {
        waiting.entry(bridge).and_modify(|waiting| *waiting += change);
    }
}
