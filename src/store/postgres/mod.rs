//! The store of several nodes: one PostgreSQL database, a few writers, one of them for pushed bodies.

/// The database's clock in Unix milliseconds.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

mod bodies;
mod changes;
mod clock;
mod copying;
mod inbox;
mod lease;
mod links;
mod marks;
mod migrations;
mod open;
mod outbox;
mod prune;
mod reads;
mod rows;
mod store;
mod trouble;
mod wake;
mod writer;

use super::Access;
use crate::ports::store::{NewInbox, Received, StoreError, Stored};
use crate::store::limits::{INBOX_ROWS_MAX, check_body};
use bodies::{BodyJob, BodyState, BodyWriter, Delivery};
use migrations::MIGRATIONS;
use open::Address;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;
use trouble::{Tried, Trouble};
use writer::{Job, Queued, Request, Shared, Writer, stopped};

pub use crate::store::counters::WriterCounters;
pub use copying::PostgresCopy;
pub use lease::Holder;

/// Memory that bodies on their way to the database may take together, in KiB. A burst of the largest
/// bodies must not take more than a small server has.
const BODIES_KIB_MAX: u32 = 32 * 1024;

/// Longest a read may take before its connection is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(35);

/// How a database is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it is: `postgres://user:password@host/database`.
    pub url: String,
    /// Who opens it. Nodes may be many: [`Access::Driver`] applies migrations, and drives nothing yet.
    pub access: Access,
    /// Waiting bodies of one bridge above which no more are taken in.
    pub inbox_rows_max: u64,
    /// Connections that read at the same time, made when first needed.
    pub readers_max: u32,
}

impl PostgresOptions {
    /// The usual way to open a database.
    pub fn new(url: impl Into<String>, access: Access) -> PostgresOptions {
        PostgresOptions { url: url.into(), access, inbox_rows_max: INBOX_ROWS_MAX, readers_max: 4 }
    }
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("PostgresOptions").field("access", &self.access).finish_non_exhaustive()
    }
}

/// A store in one PostgreSQL database.
///
/// Calls may be dropped at any time: what reached a writer is still done. Dropping the store does what waits, then
/// closes the connections; [`PostgresStore::close`] waits for that. A clone is the same store.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
    /// The epoch of the lease that this handle writes under; none: it needs no lease.
    epoch: Option<i64>,
}

struct Inner {
    address: Arc<Address>,
    queue: mpsc::Sender<Job>,
    body_queue: mpsc::Sender<BodyJob>,
    bodies: Arc<Semaphore>,
    recount: Arc<AtomicBool>,
    readers: PgPool,
    counters: Arc<WriterCounters>,
    tasks: TaskTracker,
    /// For leases alone.
    lease_connection: Mutex<Option<PgConnection>>,
    /// Bridges that this process drives itself.
    driven: Arc<std::sync::Mutex<BTreeSet<String>>>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.inner.address).field(&self.epoch).finish()
    }
}

impl PostgresStore {
    /// Opens a database. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], saying what to do: it cannot be reached, its server is too old, a newer program
    /// has changed it, or (for [`Access::Shared`]) it lacks migrations.
    pub async fn open(options: PostgresOptions) -> Stored<PostgresStore> {
        let address = Arc::new(Address::read(&options.url).map_err(|trouble| trouble.told("store.url"))?);
        let place = address.place.clone();
        Self::opened(address, options).await.map_err(|trouble| trouble.told(&place))
    }

    async fn opened(address: Arc<Address>, options: PostgresOptions) -> Tried<PostgresStore> {
        let connection = open::prepared(&address, options.access == Access::Driver).await?;
        connection.close().await?;
        let (queue, jobs) = mpsc::channel(writer::QUEUE_JOBS_MAX);
        let (body_queue, body_jobs) = mpsc::channel(writer::QUEUE_JOBS_MAX);
        let shared = Arc::new(Shared::new(Arc::clone(&address)));
        let counters = Arc::clone(&shared.counters);
        let recount = Arc::new(AtomicBool::new(false));
        let driven = Arc::default();
        let tasks = TaskTracker::new();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..writer::WRITERS {
            tasks.spawn(Writer::new(Arc::clone(&shared)).serve(Arc::clone(&jobs)));
        }
        let body_writer = BodyWriter {
            address: Arc::clone(&address),
            rows_max: options.inbox_rows_max,
            counters: Arc::clone(&counters),
            recount: Arc::clone(&recount),
            driven: Arc::clone(&driven),
            state: BodyState::default(),
        };
        tasks.spawn(body_writer.serve(body_jobs));
        tasks.close();
        let readers = address.readers(options.readers_max);
        let bodies = Arc::new(Semaphore::new(BODIES_KIB_MAX as usize));
        let inner = Inner {
            address,
            queue,
            body_queue,
            bodies,
            recount,
            readers,
            counters,
            tasks,
            lease_connection: Mutex::default(),
            driven,
        };
        Ok(PostgresStore { inner: Arc::new(inner), epoch: None })
    }

    /// True when the database answers, whatever else it may refuse. An error says what will not mend itself.
    pub async fn reaches(url: &str) -> Stored<bool> {
        let address = Address::read(url).map_err(|trouble| trouble.told("store.url"))?;
        match address.connect().await {
            Ok(connection) => {
                drop(connection);
                Ok(true)
            }
            Err(trouble) if trouble.is_lost() || matches!(trouble, Trouble::Told(_)) => Ok(false),
            Err(trouble) => Err(trouble.told(&address.place)),
        }
    }

    /// Where an address leads, without its password.
    pub fn place(url: &str) -> String {
        Address::read(url).map_or_else(|_| "the PostgreSQL database".to_owned(), |address| address.place)
    }

    /// Applies the migrations that are missing. Returns their numbers. Running nodes are not in the way: migrations
    /// leave the schema of the release before usable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], as for [`PostgresStore::open`].
    pub async fn migrate(url: &str) -> Stored<Vec<i64>> {
        let address = Address::read(url).map_err(|trouble| trouble.told("store.url"))?;
        Self::migrated(&address).await.map_err(|trouble| trouble.told(&address.place))
    }

    async fn migrated(address: &Address) -> Tried<Vec<i64>> {
        let mut connection = address.connect().await?;
        let before = migrations::version(&mut connection).await?;
        drop(connection);
        open::prepared(address, true).await?.close().await?;
        Ok(MIGRATIONS.since(before))
    }

    /// Refuses new writes, finishes those that wait, and closes the connections. A second call does nothing.
    pub async fn close(&self) {
        // An error means that the writers are gone, which is what was asked for.
        let _ = self.inner.body_queue.send(BodyJob::Close).await;
        let _ = self.inner.queue.send(Job::Close).await;
        self.inner.tasks.wait().await;
        self.inner.readers.close().await;
        drop(self.inner.lease_connection.lock().await.take());
    }

    /// What the writers have done so far.
    pub fn counters(&self) -> Arc<WriterCounters> {
        Arc::clone(&self.inner.counters)
    }

    async fn asked<R: Request + 'static>(&self, bridge: &str, request: R) -> Stored<R::Answer> {
        let (work, answer) = Queued::new(bridge, self.epoch, request);
        self.inner.queue.send(Job::Work(Box::new(work))).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn delivered(&self, body: NewInbox) -> Stored<Received> {
        check_body(&body)?;
        // Bodies are bounded, so the share is far below the whole.
        let share = u32::try_from(body.body.len() / 1024 + 1).unwrap_or(BODIES_KIB_MAX);
        let share = Arc::clone(&self.inner.bodies).acquire_many_owned(share).await.map_err(|_| stopped())?;
        let (caller, answer) = oneshot::channel();
        let delivery = Delivery { body, caller, _share: share };
        self.inner.body_queue.send(BodyJob::Body(delivery)).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Bodies wait again that had been dead.
    fn recount(&self) {
        self.inner.recount.store(true, Ordering::Relaxed);
    }

    fn told(&self, trouble: Trouble) -> StoreError {
        trouble.told(&self.inner.address.place)
    }

    /// Reads all rows of a query.
    async fn rows<T>(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
        read: impl Fn(&PgRow) -> Tried<T>,
    ) -> Stored<Vec<T>> {
        let mut reader = self.inner.readers.acquire().await.map_err(|error| self.told(error.into()))?;
        let reading = query.fetch_all(&mut *reader);
        let Ok(rows) = tokio::time::timeout(READ_TIMEOUT, reading).await else {
            reader.close_on_drop();
            return Err(self.told(open::refused(format!("{} does not answer any more", self.inner.address.place))));
        };
        let rows = rows.map_err(|error| self.told(error.into()))?;
        reads::all(rows, read).map_err(|trouble| self.told(trouble))
    }
}
