//! The tasks that write. Each has a connection of its own, which no caller can drop in the middle of a transaction.
//!
//! Every transaction locks the row of its bridge first: writers of one bridge, in whatever process, go one after the
//! other, as they do in SQLite. The same row holds the epoch of the bridge's lease, so that whoever lost the lease
//! cannot write any more.

use super::open::{self, Address};
use super::trouble::{Tried, Trouble};
use super::wake::NOTIFY;
use crate::ports::store::{StoreError, Stored};
use crate::store::counters::WriterCounters;
use async_trait::async_trait;
use sqlx::{Connection, Executor, PgConnection};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Requests that may wait for a writer. Callers wait beyond that.
pub(super) const QUEUE_JOBS_MAX: usize = 1024;

/// Writers at the same time. Bridges do not wait for each other's commits; more would only wait for the disk.
pub(super) const WRITERS: usize = 4;

/// How often the same is tried again when other writers were in the way.
const CLASHES_MAX: u32 = 10;

/// Longest a whole transaction may take before its connection is given up: a server that has vanished without a
/// word does not answer at all, not even with its own timeouts.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(40);

/// How long we ask what became of a commit whose answer was lost: a server that is started again takes seconds.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(20);
const RESOLVE_REST: Duration = Duration::from_millis(100);

/// A job for the writers.
pub(super) enum Job {
    /// A request.
    Work(Box<dyn Work>),
    /// Finish what waits and stop.
    Close,
}

/// A request whose kind is forgotten.
#[async_trait]
pub(super) trait Work: Send {
    /// The bridge it writes to.
    fn bridge(&self) -> &str;

    /// The epoch of the lease it is made under; none: it needs no lease.
    fn epoch(&self) -> Option<i64>;

    /// Does it. On an error nothing of it remains.
    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<()>;

    /// Undoes what was committed although the caller had to be told that it failed.
    async fn take_back(&mut self, tx: &mut Transaction<'_>) -> Tried<()>;

    /// Tells the one who waits what became of it.
    fn finish(&mut self, outcome: Stored<()>);
}

/// A request with one answer. It may be applied more than once, each time from the beginning.
#[async_trait]
pub(super) trait Request: Send + Sync {
    /// What the caller gets.
    type Answer: Send + Sync;

    /// Does it.
    async fn apply(&self, tx: &mut Transaction<'_>) -> Tried<Self::Answer>;

    /// Undoes it, where somebody must. Most requests may simply be made again.
    async fn take_back(&self, _tx: &mut Transaction<'_>, _answer: &Self::Answer) -> Tried<()> {
        Ok(())
    }
}

/// A request and the caller who waits for it.
pub(super) struct Queued<R: Request> {
    bridge: String,
    epoch: Option<i64>,
    request: R,
    answer: Option<R::Answer>,
    caller: Option<oneshot::Sender<Stored<R::Answer>>>,
}

impl<R: Request> Queued<R> {
    /// Puts a request together with the place for its answer.
    pub(super) fn new(
        bridge: &str,
        epoch: Option<i64>,
        request: R,
    ) -> (Queued<R>, oneshot::Receiver<Stored<R::Answer>>) {
        let (caller, answer) = oneshot::channel();
        (Queued { bridge: bridge.to_owned(), epoch, request, answer: None, caller: Some(caller) }, answer)
    }
}

#[async_trait]
impl<R: Request> Work for Queued<R> {
    fn bridge(&self) -> &str {
        &self.bridge
    }

    fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<()> {
        self.answer = Some(self.request.apply(tx).await?);
        Ok(())
    }

    async fn take_back(&mut self, tx: &mut Transaction<'_>) -> Tried<()> {
        match &self.answer {
            Some(answer) => self.request.take_back(tx, answer).await,
            None => Ok(()),
        }
    }

    fn finish(&mut self, outcome: Stored<()>) {
        let Some(caller) = self.caller.take() else { return };
        // A caller who left still had the work done. On a failure the answer stays, for `take_back`.
        let _ = caller.send(outcome.and_then(|()| self.answer.take().ok_or_else(stopped)));
    }
}

/// The error of a call that the writers can no longer serve.
pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// The error of a node that lost its lease.
pub(super) fn lost_lease(bridge: &str) -> StoreError {
    StoreError::Driven(format!("bridge {bridge} is driven by another node now: this one has lost its lease"))
}

/// What a piece of work writes with.
pub(super) struct Transaction<'w> {
    pub(super) connection: &'w mut PgConnection,
    /// The bridge's number.
    pub(super) bridge: i64,
}

/// What the writers of a store share.
pub(super) struct Shared {
    pub(super) address: Arc<Address>,
    pub(super) counters: Arc<WriterCounters>,
    /// Commits whose answers were lost and that nobody could tell of. Nothing else is done before they were taken
    /// back: a claim that its caller knows nothing of would count as under way for ever.
    unsure: Mutex<VecDeque<Box<dyn Work>>>,
}

impl Shared {
    pub(super) fn new(address: Arc<Address>) -> Shared {
        Shared { address, counters: Arc::default(), unsure: Mutex::default() }
    }
}

/// How a transaction failed.
enum Failed {
    /// Nothing of it remains.
    Whole(Trouble),
    /// Its commit was sent and no answer came: the server knows what became of this number.
    InCommit(i64, Trouble),
}

impl<T: Into<Trouble>> From<T> for Failed {
    fn from(trouble: T) -> Failed {
        Failed::Whole(trouble.into())
    }
}

/// What became of a commit.
enum Fate {
    Committed,
    RolledBack,
    Unknown,
}

/// One writing task.
pub(super) struct Writer {
    shared: Arc<Shared>,
    connection: Option<PgConnection>,
    /// When the server was started to which there was a connection last.
    server: String,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Writer {
        Writer { shared, connection: None, server: String::new() }
    }

    /// Serves requests until it is told to close or everybody who could ask is gone.
    pub(super) async fn serve(mut self, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
        loop {
            let job = {
                let mut queue = queue.lock().await;
                match queue.recv().await {
                    Some(Job::Close) => {
                        // Nobody can ask from here on; what was asked before is still served.
                        queue.close();
                        continue;
                    }
                    Some(Job::Work(work)) => work,
                    None => break,
                }
            };
            self.work(job).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = tokio::time::timeout(RESOLVE_TIMEOUT, connection.close()).await;
        }
    }

    async fn work(&mut self, mut work: Box<dyn Work>) {
        if let Err(trouble) = self.take_back().await {
            return self.fail(work.as_mut(), trouble);
        }
        let (mut clashes, mut losses) = (0, 0);
        loop {
            let begun = WriterCounters::begin();
            let failed = match self.transact(work.as_mut(), false).await {
                Ok(()) => {
                    self.shared.counters.committed(1, begun);
                    return work.finish(Ok(()));
                }
                Err(failed) => failed,
            };
            let trouble = match failed {
                Failed::Whole(trouble) => trouble,
                Failed::InCommit(number, trouble) => match self.resolve(number).await {
                    Fate::Committed => return work.finish(Ok(())),
                    Fate::RolledBack => trouble,
                    Fate::Unknown => {
                        // In this order: nobody claims anew before this one was taken back.
                        let mut unsure = self.shared.unsure.lock().await;
                        self.fail(work.as_mut(), trouble);
                        return unsure.push_back(work);
                    }
                },
            };
            self.roll_back(&trouble).await;
            if trouble.is_clash() && clashes < CLASHES_MAX {
                clashes += 1;
            } else if trouble.is_lost() && losses == 0 {
                // The server may have been started again since the last request.
                losses += 1;
            } else {
                return self.fail(work.as_mut(), trouble);
            }
        }
    }

    /// Counts a failure that was not made good, and tells who waits.
    fn fail(&self, work: &mut dyn Work, trouble: Trouble) {
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        work.finish(Err(trouble.told(&self.shared.address.place)));
    }

    async fn connection(&mut self) -> Tried<&mut PgConnection> {
        if self.connection.is_none() {
            let mut connection = open::prepared(&self.shared.address, false).await?;
            let started = sqlx::query_scalar("SELECT pg_postmaster_start_time()::text");
            self.server = started.fetch_one(&mut connection).await?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| Trouble::Told(stopped()))
    }

    /// One whole transaction.
    async fn transact(&mut self, work: &mut dyn Work, backwards: bool) -> Result<(), Failed> {
        let (name, epoch) = (work.bridge().to_owned(), work.epoch());
        let connection = self.connection().await?;
        let doing = async {
            connection.execute("BEGIN").await?;
            let (bridge, number) = locked(connection, &name, epoch).await?;
            let mut tx = Transaction { connection, bridge };
            if backwards {
                work.take_back(&mut tx).await?
            } else {
                work.apply(&mut tx).await?
            }
            if epoch.is_none() {
                // A guest's: whoever drives the bridge is to look at once.
                sqlx::query(NOTIFY).bind(&name).execute(&mut *tx.connection).await?;
            }
            Ok::<_, Trouble>(number)
        };
        let number = match tokio::time::timeout(TRANSACTION_TIMEOUT, doing).await {
            Ok(done) => done?,
            Err(_) => return Err(Failed::Whole(self.vanished())),
        };
        let connection = self.connection().await?;
        match tokio::time::timeout(TRANSACTION_TIMEOUT, connection.execute("COMMIT")).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let trouble = Trouble::Sql(error);
                Err(if trouble.is_lost() { Failed::InCommit(number, trouble) } else { Failed::Whole(trouble) })
            }
            Err(_) => Err(Failed::InCommit(number, self.vanished())),
        }
    }

    fn vanished(&mut self) -> Trouble {
        self.connection = None;
        open::refused(format!("{} does not answer any more", self.shared.address.place))
    }

    /// Leaves no transaction behind.
    async fn roll_back(&mut self, trouble: &Trouble) {
        let Some(connection) = &mut self.connection else { return };
        let rolled_back = tokio::time::timeout(RESOLVE_REST * 50, connection.execute("ROLLBACK")).await;
        if trouble.is_lost() || !matches!(rolled_back, Ok(Ok(_))) {
            self.connection = None;
        }
    }

    /// Asks the server what became of a transaction. One that was started since may have used the number again.
    async fn resolve(&mut self, number: i64) -> Fate {
        let before = std::mem::take(&mut self.server);
        self.connection = None;
        let asking = async {
            loop {
                match self.fate(number).await.as_deref() {
                    Ok(_) if self.server != before => return Fate::Unknown,
                    Ok("committed") => return Fate::Committed,
                    Ok("aborted") => return Fate::RolledBack,
                    // Its old connection has not ended yet, or the server is not there.
                    Ok(_) | Err(_) => tokio::time::sleep(RESOLVE_REST).await,
                }
            }
        };
        tokio::time::timeout(RESOLVE_TIMEOUT, asking).await.unwrap_or(Fate::Unknown)
    }

    async fn fate(&mut self, number: i64) -> Tried<String> {
        let connection = self.connection().await?;
        // A number that a server does not know yet was lost with the server before it.
        let fate: Result<Option<String>, _> = sqlx::query_scalar(
            "SELECT CASE WHEN $1 < txid_snapshot_xmax(txid_current_snapshot()) THEN txid_status($1) END",
        )
        .bind(number)
        .fetch_one(connection)
        .await;
        if fate.is_err() {
            self.connection = None;
        }
        Ok(fate?.unwrap_or_default())
    }

    /// Undoes what was committed although its caller was told that it failed. An error: the server is not there.
    async fn take_back(&mut self) -> Tried<()> {
        let shared = Arc::clone(&self.shared);
        let mut unsure = shared.unsure.lock().await;
        while let Some(work) = unsure.front_mut() {
            match self.transact(work.as_mut(), true).await {
                // Whoever has the lease now looks at everything that was under way.
                Ok(()) | Err(Failed::Whole(Trouble::Told(StoreError::Driven(_)))) => drop(unsure.pop_front()),
                Err(Failed::Whole(trouble) | Failed::InCommit(_, trouble)) => {
                    self.roll_back(&trouble).await;
                    return Err(trouble);
                }
            }
        }
        Ok(())
    }
}

const LOCK: &str = "SELECT id, epoch, txid_current() FROM bridges WHERE name = $1 FOR UPDATE";

const ADD_BRIDGE: &str = "INSERT INTO bridges (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";

/// Locks a bridge, a new one added; its number and the transaction's.
async fn locked(connection: &mut PgConnection, name: &str, epoch: Option<i64>) -> Tried<(i64, i64)> {
    loop {
        let row: Option<(i64, i64, i64)> = sqlx::query_as(LOCK).bind(name).fetch_optional(&mut *connection).await?;
        match row {
            Some((_, current, _)) if epoch.is_some_and(|epoch| epoch != current) => {
                return Err(Trouble::Told(lost_lease(name)));
            }
            Some((bridge, _, number)) => return Ok((bridge, number)),
            None => {
                sqlx::query(ADD_BRIDGE).bind(name).execute(&mut *connection).await?;
            }
        }
    }
}
