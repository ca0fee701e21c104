//! The one task that takes pushed bodies in: whatever waits when it is free shares one statement, one commit and
//! one sync to disk.
//!
//! Rows get their ids before they are sent, so that a batch whose answer was lost can be sent again: what is there
//! already is recognized, with a dedupe key or without.

use super::WriterCounters;
use super::open::{self, Address};
use super::trouble::{Tried, copy};
use super::wake::NOTIFY;
use super::writer::stopped;
use crate::core::id::InboxId;
use crate::ports::store::{NewInbox, Received, StoreError, Stored};
use crate::store::limits::{inbox_full, stored_id};
use crate::store::postgres::rows::{Word, storable};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Bodies that share one statement. More would not make a row cheaper, only the wait longer.
const BATCH_ROWS_MAX: usize = 512;

/// Ids that are fetched at a time.
const IDS: usize = 256;

/// Batches that go by what was counted before; then it is counted again, since other nodes take bodies in as well.
const COUNTED_FOR_BATCHES: u32 = 1_000;

/// Longest a batch may take before its connection is given up.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Due at once by the database's clock, also where this node's is ahead.
const INSERT: &str = concat!(
    "INSERT INTO inbox (id, bridge, source, state, dedupe, client, message, received_at, due, reason, body) \
     SELECT id, bridge, source, CASE WHEN reason IS NULL THEN 0 ELSE 2 END, dedupe, client, message, received_at, \
     least(received_at, ",
    now!(),
    "), reason, body FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], \
     $6::bigint[], $7::bigint[], $8::text[], $9::bytea[]) \
     AS new (id, bridge, source, dedupe, client, message, received_at, reason, body) \
     ORDER BY bridge, source, dedupe, id ON CONFLICT DO NOTHING RETURNING id"
);

const MORE_IDS: &str = "SELECT nextval(pg_get_serial_sequence('inbox', 'id')) FROM generate_series(1, $1)";

/// How many bodies of a bridge wait.
pub(super) const COUNT_WAITING: &str = "SELECT count(*) FROM inbox WHERE bridge = $1 AND state = 0";

const ADD_BRIDGE: &str =
    "INSERT INTO bridges (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id";

const BRIDGE: &str = "SELECT id FROM bridges WHERE name = $1";

/// A body on its way in and the caller who waits for it.
pub(super) struct Delivery {
    /// The body.
    pub(super) body: NewInbox,
    /// Where the answer goes.
    pub(super) caller: oneshot::Sender<Stored<Received>>,
    /// Its share of the memory that waiting bodies may take.
    pub(super) _share: OwnedSemaphorePermit,
}

/// A request to the task.
pub(super) enum BodyJob {
    /// A body to be stored, together with others.
    Body(Delivery),
    /// Finish what waits and stop.
    Close,
}

/// How many bodies of a bridge wait, as far as this task knows.
struct Waiting {
    rows: i64,
    batches: u32,
}

/// The task's own state.
pub(super) struct BodyWriter {
    pub(super) address: Arc<Address>,
    pub(super) rows_max: u64,
    pub(super) counters: Arc<WriterCounters>,
    /// Set when bodies wait again that had been dead: what was counted is too low.
    pub(super) recount: Arc<AtomicBool>,
    /// Bridges that this process drives itself: nobody else need be woken for them.
    pub(super) driven: Arc<std::sync::Mutex<BTreeSet<String>>>,
    pub(super) state: BodyState,
}

/// What the task remembers.
#[derive(Default)]
pub(super) struct BodyState {
    connection: Option<PgConnection>,
    bridges: BTreeMap<String, i64>,
    waiting: BTreeMap<i64, Waiting>,
    ids: VecDeque<i64>,
}

impl BodyWriter {
    /// Serves deliveries until it is told to close or everybody who could ask is gone.
    pub(super) async fn serve(mut self, mut queue: mpsc::Receiver<BodyJob>) {
        let mut jobs = Vec::with_capacity(BATCH_ROWS_MAX);
        while queue.recv_many(&mut jobs, BATCH_ROWS_MAX).await > 0 {
            let mut deliveries = Vec::with_capacity(jobs.len());
            for job in jobs.drain(..) {
                match job {
                    BodyJob::Body(delivery) => deliveries.push(delivery),
                    BodyJob::Close => queue.close(),
                }
            }
            if !deliveries.is_empty() {
                self.take(deliveries).await;
            }
        }
        if let Some(connection) = self.state.connection.take() {
            let _ = tokio::time::timeout(BATCH_TIMEOUT, connection.close()).await;
        }
    }

    /// Stores a batch, then tells everybody.
    async fn take(&mut self, deliveries: Vec<Delivery>) {
        let mut batch = Batch::default();
        let begun = WriterCounters::begin();
        let outcome = self.store(&deliveries, &mut batch).await;
        let names: BTreeSet<String> = deliveries.iter().map(|delivery| delivery.body.bridge.clone()).collect();
        match outcome {
            Ok(stored) => {
                self.counters.committed(deliveries.len() as u64, begun);
                let mut answers = self.answers(batch, &stored).into_iter();
                for delivery in deliveries {
                    // A caller who left still had the body stored.
                    let _ = delivery.caller.send(answers.next().unwrap_or_else(|| Err(stopped())));
                }
                self.wake(names).await;
            }
            Err(error) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                deliveries.into_iter().for_each(|delivery| drop(delivery.caller.send(Err(copy(&error)))));
            }
        }
    }

    /// Wakes the nodes that drive these bridges, after everybody has an answer.
    async fn wake(&mut self, mut names: BTreeSet<String>) {
        let driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner).clone();
        names.retain(|name| !driven.contains(name));
        let Some(connection) = &mut self.state.connection else { return };
        for name in names {
            let waking = sqlx::query(NOTIFY).bind(name).execute(&mut *connection);
            if !matches!(tokio::time::timeout(BATCH_TIMEOUT, waking).await, Ok(Ok(_))) {
                self.state.connection = None;
                return;
            }
        }
    }

    /// Tries twice: the server may have been started again since the last batch, and of two nodes that insert the
    /// same keys in another order one is sent back.
    async fn store(&mut self, deliveries: &[Delivery], batch: &mut Batch) -> Stored<BTreeSet<i64>> {
        let mut is_second = false;
        loop {
            let storing = self.attempt(deliveries, batch);
            let trouble = match tokio::time::timeout(BATCH_TIMEOUT, storing).await {
                Ok(Ok(stored)) => return Ok(stored),
                Ok(Err(trouble)) => trouble,
                Err(_) => {
                    self.state.connection = None;
                    open::refused(format!("{} does not answer any more", self.address.place))
                }
            };
            let may_go_well = trouble.is_lost() || trouble.is_clash();
            if trouble.is_lost() {
                self.state.connection = None;
            }
            if is_second || !may_go_well {
                return Err(trouble.told(&self.address.place));
            }
            is_second = true;
        }
    }

    async fn attempt(&mut self, deliveries: &[Delivery], batch: &mut Batch) -> Tried<BTreeSet<i64>> {
        let state = &mut self.state;
        if state.connection.is_none() {
            state.connection = Some(open::prepared(&self.address, false).await?);
        }
        let Some(connection) = &mut state.connection else { return Err(stopped().into()) };
        if batch.fates.is_empty() {
            for delivery in deliveries {
                known_bridge(connection, &mut state.bridges, &delivery.body.bridge).await?;
            }
            if self.recount.swap(false, Ordering::Relaxed) {
                state.waiting.clear();
            }
            let rooms =
                rooms(connection, state.bridges.values(), &mut state.waiting, deliveries, self.rows_max).await?;
            if state.ids.len() < deliveries.len() {
                let count = i64::try_from(deliveries.len().max(IDS)).unwrap_or(i64::MAX);
                let more: Vec<i64> = sqlx::query_scalar(MORE_IDS).bind(count).fetch_all(&mut *connection).await?;
                state.ids.extend(more);
            }
            *batch = Batch { rooms, ..Batch::default() };
            for delivery in deliveries {
                let bridge = state.bridges.get(&delivery.body.bridge).copied().ok_or_else(stopped)?;
                batch.add(bridge, &delivery.body, self.rows_max, &mut state.ids)?;
            }
        }
        batch.rows.insert(connection, deliveries).await
    }

    /// Tells what was stored from what was there.
    fn answers(&mut self, batch: Batch, stored: &BTreeSet<i64>) -> Vec<Stored<Received>> {
        let mut answers = Vec::with_capacity(batch.fates.len());
        for fate in batch.fates {
            answers.push(match fate {
                Fate::Twin => Ok(Received::Known),
                Fate::Refused(refusal) => Err(refusal),
                Fate::Row { id, .. } if !stored.contains(&id) => Ok(Received::Known),
                Fate::Row { id, bridge, waits } => {
                    if let Some(waiting) = self.state.waiting.get_mut(&bridge) {
                        waiting.rows += i64::from(waits);
                    }
                    Ok(Received::Stored(InboxId(id)))
                }
            });
        }
        answers
    }
}

async fn known_bridge(connection: &mut PgConnection, known: &mut BTreeMap<String, i64>, name: &str) -> Tried<()> {
    if !known.contains_key(name) {
        let found: Option<i64> = sqlx::query_scalar(BRIDGE).bind(name).fetch_optional(&mut *connection).await?;
        let id = match found {
            Some(id) => id,
            None => sqlx::query_scalar(ADD_BRIDGE).bind(name).fetch_one(&mut *connection).await?,
        };
        known.insert(name.to_owned(), id);
    }
    Ok(())
}

/// How many more bodies of each bridge may wait.
async fn rooms(
    connection: &mut PgConnection,
    bridges: impl Iterator<Item = &i64>,
    waiting: &mut BTreeMap<i64, Waiting>,
    deliveries: &[Delivery],
    rows_max: u64,
) -> Tried<BTreeMap<i64, i64>> {
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let coming = i64::try_from(deliveries.len()).unwrap_or(i64::MAX);
    let mut rooms = BTreeMap::new();
    for bridge in bridges {
        let known = waiting.get_mut(bridge).filter(|known| known.batches < COUNTED_FOR_BATCHES);
        // Others may have dealt with bodies, so a refusal is never from memory alone.
        let rows = match known {
            Some(known) if known.rows.saturating_add(coming) <= rows_max => {
                known.batches += 1;
                known.rows
            }
            _ => {
                let rows: i64 = sqlx::query_scalar(COUNT_WAITING).bind(bridge).fetch_one(&mut *connection).await?;
                waiting.insert(*bridge, Waiting { rows, batches: 0 });
                rows
            }
        };
        rooms.insert(*bridge, rows_max - rows);
    }
    Ok(rooms)
}

/// What is to become of one body of a batch.
enum Fate {
    /// It is inserted.
    Row {
        /// As this row.
        id: i64,
        /// Its bridge.
        bridge: i64,
        /// Whether it waits then, rather than being a dead letter at once.
        waits: bool,
    },
    /// An earlier one of the batch has its key.
    Twin,
    /// Too many wait.
    Refused(StoreError),
}

/// Rows as the statement takes them: a list for each column, and the place of each row's delivery.
#[derive(Default)]
struct NewRows {
    places: Vec<usize>,
    ids: Vec<i64>,
    bridges: Vec<i64>,
    sources: Vec<i64>,
    dedupes: Vec<Option<String>>,
    clients: Vec<Option<i64>>,
    messages: Vec<Option<i64>>,
    received_at: Vec<i64>,
    reasons: Vec<Option<String>>,
}

impl NewRows {
    /// One statement for all rows; the ids of those that were not there.
    async fn insert(&self, connection: &mut PgConnection, deliveries: &[Delivery]) -> Tried<BTreeSet<i64>> {
        if self.ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let bodies: Vec<&[u8]> = self.places.iter().map(|place| deliveries[*place].body.body.as_slice()).collect();
        let query = sqlx::query_scalar(INSERT).bind(&self.ids).bind(&self.bridges).bind(&self.sources);
        let query = query.bind(&self.dedupes).bind(&self.clients).bind(&self.messages).bind(&self.received_at);
        let stored: Vec<i64> = query.bind(&self.reasons).bind(bodies).fetch_all(connection).await?;
        Ok(stored.into_iter().collect())
    }
}

/// Sorts out a batch: what is inserted, what is a twin, what finds no room.
#[derive(Default)]
struct Batch {
    rooms: BTreeMap<i64, i64>,
    keys: BTreeSet<(i64, i64, String)>,
    rows: NewRows,
    fates: Vec<Fate>,
}

impl Batch {
    fn add(&mut self, bridge: i64, body: &NewInbox, rows_max: u64, ids: &mut VecDeque<i64>) -> Tried<()> {
        let room = self.rooms.entry(bridge).or_default();
        if *room <= 0 {
            self.fates.push(Fate::Refused(inbox_full(&body.bridge, rows_max)));
            return Ok(());
        }
        let source = body.source.number();
        let dedupe = body.dedupe.as_deref().map(|dedupe| storable(dedupe).into_owned());
        if let Some(dedupe) = &dedupe
            && !self.keys.insert((bridge, source, dedupe.clone()))
        {
            self.fates.push(Fate::Twin);
            return Ok(());
        }
        let waits = body.broken.is_none();
        *room -= i64::from(waits);
        let id = ids.pop_front().ok_or_else(stopped)?;
        let rows = &mut self.rows;
        rows.places.push(self.fates.len());
        rows.ids.push(id);
        rows.bridges.push(bridge);
        rows.sources.push(source);
        rows.dedupes.push(dedupe);
        rows.clients.push(body.client.map(|id| stored_id("client", id.0)).transpose()?);
        rows.messages.push(body.message.map(|id| stored_id("message", id.0)).transpose()?);
        rows.received_at.push(body.received_at.0);
        rows.reasons.push(body.broken.as_deref().map(|reason| storable(reason).into_owned()));
        self.fates.push(Fate::Row { id, bridge, waits });
        Ok(())
    }
}
