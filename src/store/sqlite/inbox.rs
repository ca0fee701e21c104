//! Pushed bodies: taken in many at a time, dealt with, pruned.

use super::rows::{Word, json};
use super::trouble::{Tried, Trouble, copy};
use super::writer::{Transaction, count};
use crate::core::id::{ClientId, InboxId};
use crate::core::time::Millis;
use crate::ports::store::{NewInbox, Received, Stored};
use crate::store::limits::{inbox_full, stored_id};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The numbers of rows that statements are made for. A batch is filled up to the next one, so that
/// few statements serve every batch and the prepared ones stay prepared.
const SIZES: [usize; 6] = [1, 4, 16, 64, 192, super::writer::BATCH_JOBS_MAX];

/// The statement of each size. Rows without a bridge are fillers.
static STATEMENTS: LazyLock<[Arc<str>; SIZES.len()]> = LazyLock::new(|| SIZES.map(|rows| insert_text(rows).into()));

fn insert_text(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO inbox (bridge, source, state, dedupe, client, message, received_at, due, reason, body) \
         SELECT column1, column2, CASE WHEN column7 IS NULL THEN 0 ELSE 2 END, column3, column4, column5, column6, \
         column6, column7, column8 FROM (VALUES {values}) WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING"
    )
}

/// The rows that were inserted last, of which it is known how many they are: ids are never given twice and only rise.
const NEWEST: &str = "SELECT id, bridge, source, dedupe FROM inbox ORDER BY id DESC LIMIT ?1";

/// How many bodies of a bridge wait.
pub(super) const COUNT_WAITING: &str =
    "SELECT count(*) FROM inbox INDEXED BY inbox_due WHERE bridge = ?1 AND state = 0";

/// A body on its way to the writer and the caller who waits for it.
pub(super) struct Delivery {
    /// The body.
    pub(super) body: NewInbox,
    /// Where the answer goes.
    pub(super) caller: oneshot::Sender<Stored<Received>>,
    /// Its share of the memory that waiting bodies may take.
    pub(super) _share: OwnedSemaphorePermit,
}

/// The bodies of one batch.
pub(super) struct Receive {
    deliveries: Vec<Delivery>,
    answers: Vec<Stored<Received>>,
    rows_max: i64,
}

/// What makes two bodies the same: bridge, source and the sender's key.
type Key = (i64, i64, String);

impl Receive {
    /// Takes these bodies in, as long as no more than `rows_max` of a bridge wait.
    pub(super) fn new(deliveries: Vec<Delivery>, rows_max: u64) -> Receive {
        let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
        Receive { deliveries, answers: Vec::new(), rows_max }
    }

    /// The bridges they were pushed to.
    pub(super) fn bridges(&self) -> BTreeSet<String> {
        self.deliveries.iter().map(|delivery| delivery.body.bridge.clone()).collect()
    }

    /// How many there are.
    pub(super) fn rows(&self) -> u64 {
        self.deliveries.len() as u64
    }

    /// How many more bodies of each bridge may wait.
    async fn rooms(
        &self,
        connection: &mut SqliteConnection,
        bridges: &BTreeMap<String, i64>,
        waiting: &mut BTreeMap<i64, i64>,
    ) -> Tried<BTreeMap<i64, i64>> {
        let mut rooms = BTreeMap::new();
        for name in self.bridges() {
            let bridge = number(bridges, &name)?;
            let known = waiting.get(&bridge).copied();
            // Other processes may have dealt with bodies, so a refusal is never from memory alone.
            let known = known.filter(|known| known + self.rows().cast_signed() <= self.rows_max);
            let counted = match known {
                Some(known) => known,
                None => sqlx::query_scalar(COUNT_WAITING).bind(bridge).fetch_one(&mut *connection).await?,
            };
            waiting.insert(bridge, counted);
            rooms.insert(bridge, self.rows_max - counted);
        }
        Ok(rooms)
    }

    /// Stores them. `waiting`: how many of each bridge wait, where that is known.
    pub(super) async fn store(
        &mut self,
        connection: &mut SqliteConnection,
        bridges: &BTreeMap<String, i64>,
        waiting: &mut BTreeMap<i64, i64>,
    ) -> Tried<()> {
        let mut batch = Batch::new(self.rooms(connection, bridges, waiting).await?);
        for delivery in &mut self.deliveries {
            let bridge = number(bridges, &delivery.body.bridge)?;
            batch.add(bridge, &mut delivery.body, self.rows_max)?;
        }
        let inserted = batch.insert(connection).await?;
        let mut change = BTreeMap::new();
        self.answers = batch.answers(inserted, &mut change);
        count(waiting, change);
        Ok(())
    }

    /// Tells whoever waits.
    pub(super) fn finish(self, outcome: Stored<()>) {
        let mut answers = self.answers.into_iter();
        for delivery in self.deliveries {
            let answer = match &outcome {
                Ok(()) => answers.next().unwrap_or_else(|| Err(super::writer::stopped())),
                Err(error) => Err(copy(error)),
            };
            // A caller who left still had the body stored.
            let _ = delivery.caller.send(answer);
        }
    }
}

/// The number of a bridge.
fn number(bridges: &BTreeMap<String, i64>, name: &str) -> Tried<i64> {
    bridges.get(name).copied().ok_or_else(|| Trouble::Told(super::writer::stopped()))
}

/// What is to become of one body of a batch.
enum Fate {
    /// It is inserted.
    Row {
        /// Its bridge.
        bridge: i64,
        /// Its key, if it has one.
        key: Option<Key>,
        /// Whether it waits then, rather than being a dead letter at once.
        waits: bool,
    },
    /// An earlier one of the batch has its key.
    Twin,
    /// Too many wait.
    Refused(Stored<Received>),
}

/// A body as the statement takes it.
struct NewRow {
    bridge: i64,
    source: i64,
    dedupe: Option<String>,
    client: Option<i64>,
    message: Option<i64>,
    received_at: i64,
    reason: Option<String>,
    body: Vec<u8>,
}

/// Sorts out a batch: what is inserted, what is a twin, what finds no room.
struct Batch {
    rooms: BTreeMap<i64, i64>,
    keys: BTreeSet<Key>,
    rows: Vec<NewRow>,
    fates: Vec<Fate>,
}

impl Batch {
    fn new(rooms: BTreeMap<i64, i64>) -> Batch {
        Batch { rooms, keys: BTreeSet::new(), rows: Vec::new(), fates: Vec::new() }
    }

    fn add(&mut self, bridge: i64, body: &mut NewInbox, rows_max: i64) -> Tried<()> {
        let room = self.rooms.entry(bridge).or_default();
        if *room <= 0 {
            let limit = u64::try_from(rows_max).unwrap_or_default();
            self.fates.push(Fate::Refused(Err(inbox_full(&body.bridge, limit))));
            return Ok(());
        }
        let source = body.source.number();
        let key = body.dedupe.clone().map(|dedupe| (bridge, source, dedupe));
        if let Some(key) = &key
            && !self.keys.insert(key.clone())
        {
            self.fates.push(Fate::Twin);
            return Ok(());
        }
        let waits = body.broken.is_none();
        *room -= i64::from(waits);
        self.fates.push(Fate::Row { bridge, key, waits });
        self.rows.push(NewRow {
            bridge,
            source,
            dedupe: body.dedupe.take(),
            client: body.client.map(|id| stored_id("client", id.0)).transpose()?,
            message: body.message.map(|id| stored_id("message", id.0)).transpose()?,
            received_at: body.received_at.0,
            reason: body.broken.clone(),
            body: std::mem::take(&mut body.body),
        });
        Ok(())
    }

    /// One statement for all rows. Which of them were there is only asked where some were.
    async fn insert(&mut self, connection: &mut SqliteConnection) -> Tried<Inserted> {
        if self.rows.is_empty() {
            return Ok(Inserted::All { first: 0 });
        }
        // A batch is never larger than the largest size: both are the writer's bound.
        let rows = self.rows.len();
        let place = SIZES.iter().position(|size| *size >= rows).unwrap_or(SIZES.len() - 1);
        let fillers = SIZES[place].saturating_sub(rows);
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&STATEMENTS[place])));
        for row in self.rows.drain(..) {
            query = query.bind(row.bridge).bind(row.source).bind(row.dedupe).bind(row.client).bind(row.message);
            query = query.bind(row.received_at).bind(row.reason).bind(row.body);
        }
        for _ in 0..fillers * 8 {
            query = query.bind(None::<i64>);
        }
        let done = query.execute(&mut *connection).await?;
        let (rows, inserted) = (rows as u64, done.rows_affected());
        if inserted == rows {
            return Ok(Inserted::All { first: done.last_insert_rowid() - rows.cast_signed() + 1 });
        }
        let newest = sqlx::query(NEWEST).bind(inserted.cast_signed()).fetch_all(connection).await?;
        let mut some = BTreeMap::new();
        for row in newest {
            let key = row.try_get::<Option<String>, _>(3)?.map(|dedupe| {
                let (bridge, source) = (row.try_get(1)?, row.try_get(2)?);
                Ok::<Key, sqlx::Error>((bridge, source, dedupe))
            });
            some.insert(row.try_get(0)?, key.transpose()?);
        }
        Ok(Inserted::Some(some))
    }

    /// Tells the rows that were inserted from those that were there. Ids rise in the order of the values, so that new rows
    /// without a key are told apart by it.
    fn answers(self, inserted: Inserted, waiting: &mut BTreeMap<i64, i64>) -> Vec<Stored<Received>> {
        let mut ids = inserted.ids();
        let answer = |fate: Fate| match fate {
            Fate::Twin => Ok(Received::Known),
            Fate::Refused(refusal) => refusal,
            Fate::Row { bridge, key, waits } => {
                let id = ids.of(key);
                if waits && id.is_some() {
                    *waiting.entry(bridge).or_default() += 1;
                }
                Ok(id.map_or(Received::Known, |id| Received::Stored(InboxId(id))))
            }
        };
        self.fates.into_iter().map(answer).collect()
    }
}

/// What became of the rows of a batch.
enum Inserted {
    /// All are new, with ids in their order from this one on.
    All { first: i64 },
    /// Some had been there. These are the new ones, with their keys.
    Some(BTreeMap<i64, Option<Key>>),
}

impl Inserted {
    fn ids(self) -> Ids {
        match self {
            Inserted::All { first } => Ids { next: Some(first), keyed: BTreeMap::new(), keyless: VecDeque::new() },
            Inserted::Some(rows) => {
                let mut ids = Ids { next: None, keyed: BTreeMap::new(), keyless: VecDeque::new() };
                for (id, key) in rows {
                    match key {
                        Some(key) => drop(ids.keyed.insert(key, id)),
                        None => ids.keyless.push_back(id),
                    }
                }
                ids
            }
        }
    }
}

/// Gives each row of a batch, in order, the id it got.
struct Ids {
    /// Where all are new: the next one's.
    next: Option<i64>,
    keyed: BTreeMap<Key, i64>,
    /// All without a key are new.
    keyless: VecDeque<i64>,
}

impl Ids {
    fn of(&mut self, key: Option<Key>) -> Option<i64> {
        match (&mut self.next, key) {
            (Some(next), _) => {
                let id = *next;
                *next += 1;
                Some(id)
            }
            (None, Some(key)) => self.keyed.remove(&key),
            (None, None) => self.keyless.pop_front(),
        }
    }
}

/// Bodies that are dealt with. Without a dedupe key nothing of them is needed any more.
pub(super) const DELETE_DONE: &str = "DELETE FROM inbox NOT INDEXED WHERE bridge = ?1 AND dedupe IS NULL AND state <> 1 \
     AND id IN (SELECT value FROM json_each(?2)) RETURNING state";

/// With a key, it stays.
pub(super) const EMPTY_DONE: &str = "UPDATE inbox NOT INDEXED SET state = 1, client = NULL, message = NULL, reason = NULL, body = NULL \
     WHERE bridge = ?1 AND state = ?3 AND dedupe IS NOT NULL AND id IN (SELECT value FROM json_each(?2))";

/// A body that cannot be dealt with. Those done are gone.
pub(super) const KILL: &str =
    "UPDATE inbox NOT INDEXED SET state = 2, reason = ?3 WHERE bridge = ?1 AND id = ?2 AND state = ?4";

/// A dead body that is to be tried again.
pub(super) const RETRY: &str =
    "UPDATE inbox NOT INDEXED SET state = 0, due = ?3, reason = NULL WHERE bridge = ?1 AND id = ?2 AND state = 2";

/// Clients' waiting bodies; what waits for that moment already is not written again.
pub(super) const HOLD: &str = "UPDATE inbox INDEXED BY inbox_dialogue SET due = held.value ->> 1 \
     FROM json_each(?2) AS held WHERE bridge = ?1 AND client = held.value ->> 0 AND state = 0 AND due <> held.value ->> 1";

/// Bodies that wait, each until its own time.
pub(super) const WAIT: &str = "UPDATE inbox NOT INDEXED SET due = held.value ->> 1 FROM json_each(?2) AS held \
     WHERE inbox.id = held.value ->> 0 AND inbox.bridge = ?1 AND inbox.state = 0";

/// Dedupe keys that are old enough to go.
pub(super) const PRUNE: &str = "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox INDEXED BY inbox_done \
     WHERE bridge = ?1 AND state = 1 AND received_at < ?2 ORDER BY received_at, id LIMIT ?3)";

const WAITING: i64 = 0;
const DEAD: i64 = 2;

/// Drops bodies and keeps their keys. The usual case, waiting bodies with keys, is one statement.
pub(super) async fn done(tx: &mut Transaction<'_>, bridge: i64, ids: &[InboxId]) -> Tried<()> {
    let text = json(ids)?;
    let mut waited = emptied(tx, bridge, &text, WAITING).await?;
    if waited < ids.len() as u64 {
        let deleted = sqlx::query(DELETE_DONE).bind(bridge).bind(text.as_str()).fetch_all(&mut *tx.connection).await?;
        for row in deleted {
            waited += u64::from(row.try_get::<i64, _>(0)? == WAITING);
        }
        emptied(tx, bridge, &text, DEAD).await?;
    }
    tx.count_waiting(bridge, -waited.cast_signed());
    Ok(())
}

async fn emptied(tx: &mut Transaction<'_>, bridge: i64, ids: &str, state: i64) -> Tried<u64> {
    let query = sqlx::query(EMPTY_DONE).bind(bridge).bind(ids.to_owned()).bind(state);
    Ok(query.execute(&mut *tx.connection).await?.rows_affected())
}

/// Makes a body a dead letter, or gives a dead one another reason.
pub(super) async fn dead(tx: &mut Transaction<'_>, bridge: i64, id: InboxId, reason: &str) -> Tried<()> {
    if killed(tx, bridge, id, reason, WAITING).await? {
        tx.count_waiting(bridge, -1);
    } else {
        killed(tx, bridge, id, reason, DEAD).await?;
    }
    Ok(())
}

/// Lets a dead body wait again.
pub(super) async fn retry(tx: &mut Transaction<'_>, bridge: i64, id: InboxId, due: Millis) -> Tried<()> {
    let query = sqlx::query(RETRY).bind(bridge).bind(id.0).bind(due.0);
    let waits = query.execute(&mut *tx.connection).await?.rows_affected() > 0;
    tx.count_waiting(bridge, i64::from(waits));
    Ok(())
}

async fn killed(tx: &mut Transaction<'_>, bridge: i64, id: InboxId, reason: &str, state: i64) -> Tried<bool> {
    let query = sqlx::query(KILL).bind(bridge).bind(id.0).bind(reason.to_owned()).bind(state);
    Ok(query.execute(&mut *tx.connection).await?.rows_affected() > 0)
}

/// Puts bodies off, each until its own time.
pub(super) async fn wait(tx: &mut Transaction<'_>, bridge: i64, rows: &[(InboxId, Millis)]) -> Tried<()> {
    let rows: Vec<(i64, i64)> = rows.iter().map(|(id, due)| (id.0, due.0)).collect();
    sqlx::query(WAIT).bind(bridge).bind(json(&rows)?).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Puts the waiting bodies of clients off, none of which comes twice.
pub(super) async fn hold(tx: &mut Transaction<'_>, bridge: i64, holds: &[(ClientId, Millis)]) -> Tried<()> {
    let mut rows = Vec::with_capacity(holds.len());
    for (client, due) in holds {
        rows.push((stored_id("client", client.0)?, due.0));
    }
    sqlx::query(HOLD).bind(bridge).bind(json(&rows)?).execute(&mut *tx.connection).await?;
    Ok(())
}
