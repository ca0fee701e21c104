//! The embedded store: one SQLite file, one writer with group commit, a few readers.

mod changes;
mod clock;
mod copying;
mod examine;
mod inbox;
mod links;
mod marks;
mod migrations;
mod open;
mod outbox;
#[cfg(test)]
mod plans;
mod prune;
mod reads;
mod rows;
mod store;
mod trouble;
mod writer;

use crate::ports::store::{NewInbox, Received, StoreError, Stored};
use crate::store::limits::{INBOX_ROWS_MAX, check_body};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use trouble::{Tried, Trouble};
use writer::{Job, Queued, Request, Writer, stopped};

pub use super::Access;
pub use crate::store::counters::WriterCounters;
pub use copying::SqliteCopy;
pub use examine::{Examined, driver, examine, is_driven};
pub use trouble::{free_bytes, is_closed};

/// Memory that bodies on their way to the disk may take together, in KiB. A burst of the largest
/// bodies must not take more than a small server has.
const BODIES_KIB_MAX: u32 = 32 * 1024;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file. `.lock`, `-wal` and `-shm` files appear beside it.
    pub path: PathBuf,
    /// Who opens it.
    pub access: Access,
    /// Waiting bodies of one bridge above which no more are taken in.
    pub inbox_rows_max: u64,
    /// Readers at the same time; each is a thread and up to 2 MiB of cache, made when first needed.
    pub readers_max: u32,
    /// Bytes the file may grow to, to leave room on a shared disk; none: as far as there is room.
    pub size_max_bytes: Option<u64>,
}

impl SqliteOptions {
    /// The usual way to open a file.
    pub fn new(path: impl Into<PathBuf>, access: Access) -> SqliteOptions {
        SqliteOptions {
            path: path.into(),
            access,
            inbox_rows_max: INBOX_ROWS_MAX,
            readers_max: 4,
            size_max_bytes: None,
        }
    }
}

/// A store in one SQLite file.
///
/// Calls may be dropped at any time: what reached the writer is still done. Dropping the store
/// does what waits, then closes the file; [`SqliteStore::close`] waits for that.
#[derive(Debug)]
pub struct SqliteStore {
    path: Arc<Path>,
    queue: mpsc::Sender<Job>,
    bodies: Arc<Semaphore>,
    readers: SqlitePool,
    counters: Arc<WriterCounters>,
}

impl SqliteStore {
    /// True while somebody drives the file, this process included.
    pub fn is_driven(&self) -> bool {
        is_driven(&self.path)
    }

    /// Who drives the file, in words: `process 123`; none where nobody does.
    pub fn driver(&self) -> Option<String> {
        driver(&self.path)
    }

    /// Opens a database. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], saying what to do: the folder is missing, another daemon drives the file, a
    /// newer program has changed it, or (for [`Access::Shared`]) it is missing or lacks migrations.
    pub async fn open(options: SqliteOptions) -> Stored<SqliteStore> {
        let path = options.path.clone();
        Self::opened(options).await.map_err(|trouble| trouble.told(&path))
    }

    async fn opened(options: SqliteOptions) -> Tried<SqliteStore> {
        let drives = options.access == Access::Driver;
        if drives {
            open::create(&options.path)?;
        }
        let path: Arc<Path> = open::resolved(&options.path)?.into();
        let lock = if drives { Some(open::lock(&path)?) } else { None };
        let writing = open::writing(&path, options.size_max_bytes);
        let connection = open::prepared(&writing, &path, drives).await?;
        let writer = Writer::new(connection, writing, Arc::clone(&path), options.inbox_rows_max, lock);
        let (queue, jobs) = mpsc::channel(writer::QUEUE_JOBS_MAX);
        let counters = writer.counters();
        let readers = open::readers(&path, options.readers_max);
        #[expect(
            clippy::disallowed_methods,
            reason = "the store owns the writer: `close`, or dropping the store, ends it"
        )]
        tokio::spawn(writer.serve(jobs));
        let bodies = Arc::new(Semaphore::new(BODIES_KIB_MAX as usize));
        Ok(SqliteStore { path, queue, bodies, readers, counters })
    }

    /// Applies the migrations that are missing, making the file if needed. Returns their numbers. A
    /// running daemon is not in the way: migrations leave the schema of the release before usable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], as for [`SqliteStore::open`].
    pub async fn migrate(path: &Path) -> Stored<Vec<i64>> {
        Self::migrated(path).await.map_err(|trouble| trouble.told(path))
    }

    async fn migrated(path: &Path) -> Tried<Vec<i64>> {
        use sqlx::ConnectOptions;
        open::create(path)?;
        let path = open::resolved(path)?;
        let mut connection: SqliteConnection = open::writing(&path, None).connect().await?;
        open::check_library(&mut connection).await?;
        let applied = migrations::apply(&mut connection, &path).await;
        connection.close().await?;
        applied
    }

    /// Refuses new writes, finishes those that wait, and closes the file. A second call does nothing.
    pub async fn close(&self) {
        let (closer, closed) = oneshot::channel();
        self.readers.close().await;
        if self.queue.send(Job::Close(closer)).await.is_ok() {
            // An error means that the writer is gone, which is what was asked for.
            let _ = closed.await;
        }
    }

    /// What the writer has done so far.
    pub fn counters(&self) -> Arc<WriterCounters> {
        Arc::clone(&self.counters)
    }

    /// Requests that wait for the writer now.
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    async fn asked<R: Request + 'static>(&self, request: R) -> Stored<R::Answer> {
        let (work, answer) = Queued::new(request);
        self.queue.send(Job::Work(Box::new(work))).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn delivered(&self, body: NewInbox) -> Stored<Received> {
        check_body(&body)?;
        // Bodies are bounded, so the share is far below the whole.
        let share = u32::try_from(body.body.len() / 1024 + 1).unwrap_or(BODIES_KIB_MAX);
        let share = Arc::clone(&self.bodies).acquire_many_owned(share).await.map_err(|_| stopped())?;
        let (caller, answer) = oneshot::channel();
        let delivery = inbox::Delivery { body, caller, _share: share };
        self.queue.send(Job::Body(delivery)).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn told(&self, trouble: Trouble) -> StoreError {
        trouble.told(&self.path)
    }

    /// Reads all rows of a query.
    async fn rows<T>(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        read: impl Fn(&SqliteRow) -> Tried<T>,
    ) -> Stored<Vec<T>> {
        let rows = query.fetch_all(&self.readers).await.map_err(|error| self.told(error.into()))?;
        reads::all(rows, read).map_err(|trouble| self.told(trouble))
    }
}
