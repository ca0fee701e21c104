//! The one task that writes. Whatever waits when it is free shares one transaction and one sync to disk.

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
    /// The bridges it writes to.
    fn bridges(&self) -> BTreeSet<String>;

    /// How many requests it is.
    fn jobs(&self) -> u64 {
        1
    }

    /// Does it. On an error nothing of it remains and [`Work::finish`] is told.
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
    fn bridges(&self) -> BTreeSet<String> {
        BTreeSet::from([self.request.bridge().to_owned()])
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
    /// Waiting bodies by bridge, where they were counted already, as of the last commit.
    pub(super) waiting: &'w mut BTreeMap<i64, i64>,
    /// How this transaction changes them.
    pub(super) waiting_change: BTreeMap<i64, i64>,
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

    async fn run(&mut self, text: &'static str) -> Tried<()> {
        self.connection.execute(text).await?;
        Ok(())
    }

    /// Does one piece of work among others: if it fails alone, nothing of it remains and they go on.
    async fn contained(&mut self, work: &mut dyn Work) -> Tried<Tried<()>> {
        self.run("SAVEPOINT job").await?;
        let waiting = self.waiting_change.clone();
        match work.apply(self).await {
            Ok(()) => self.run("RELEASE job").await?,
            Err(trouble) if trouble.is_contained() => {
                self.run("ROLLBACK TO job").await?;
                self.run("RELEASE job").await?;
                self.waiting_change = waiting;
                return Ok(Err(trouble));
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(Ok(()))
    }
}

/// The task's own state.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    path: Arc<Path>,
    connection: Option<SqliteConnection>,
    bridges: BTreeMap<String, i64>,
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
            if !bodies.is_empty() {
                works.insert(0, Box::new(Receive::new(bodies, self.inbox_rows_max)));
            }
            self.batch(works).await;
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

    /// One transaction for all, one sync to disk, then everybody is told.
    async fn batch(&mut self, mut works: Vec<Box<dyn Work>>) {
        if works.is_empty() {
            return;
        }
        let begun = WriterCounters::begin();
        let outcomes = match self.transact(&mut works).await {
            Ok(outcomes) => {
                self.counters.committed(works.iter().map(|work| work.jobs()).sum(), begun);
                outcomes
            }
            Err(trouble) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                self.roll_back().await;
                let error = trouble.told(&self.path);
                works.iter().map(|_| Err(copy(&error))).collect()
            }
        };
        for (work, outcome) in works.into_iter().zip(outcomes) {
            work.finish(outcome);
        }
    }

    async fn transact(&mut self, works: &mut [Box<dyn Work>]) -> Tried<Vec<Stored<()>>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(open::prepared(&self.options, &self.path, false).await?),
        };
        connection.execute("BEGIN IMMEDIATE").await?;
        let names = works.iter().flat_map(|work| work.bridges()).collect();
        let bridges = known_bridges(connection, &self.bridges, names).await?;
        let waiting = &mut self.waiting;
        let mut tx = Transaction { connection, bridges: &bridges, waiting, waiting_change: BTreeMap::new() };
        let mut outcomes = Vec::with_capacity(works.len());
        if let [work] = works {
            // Alone in its transaction it needs no savepoint: if it fails, all of it fails.
            work.apply(&mut tx).await?;
            outcomes.push(Ok(()));
        } else {
            for work in works {
                let outcome = tx.contained(work.as_mut()).await?;
                outcomes.push(outcome.map_err(|trouble| trouble.told(&self.path)));
            }
        }
        tx.run("COMMIT").await?;
        for (bridge, change) in tx.waiting_change {
            self.waiting.entry(bridge).and_modify(|waiting| *waiting += change);
        }
        self.bridges = bridges;
        Ok(outcomes)
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

/// The numbers of these bridges, new ones added. They are remembered only after the commit.
async fn known_bridges(
    connection: &mut SqliteConnection,
    known: &BTreeMap<String, i64>,
    names: BTreeSet<String>,
) -> Tried<BTreeMap<String, i64>> {
    let mut bridges = known.clone();
    for name in names {
        if let Entry::Vacant(place) = bridges.entry(name) {
            let query = sqlx::query_scalar(ADD_BRIDGE).bind(place.key().clone());
            place.insert(query.fetch_one(&mut *connection).await?);
        }
    }
    Ok(bridges)
}
