//! Decided writes: recorded, replaced in their slot, claimed, settled.

use super::rows::{Reading, Word, json, storable};
use super::trouble::{Tried, Trouble};
use super::writer::{Request, Transaction};
use crate::core::action::Side;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::ActionId;
use crate::core::time::Millis;
use crate::ports::store::{NewAction, OutboxRow};
use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of [`outbox_row`].
macro_rules! columns {
    () => {
        "id, state, priority, in_doubt, attempts, not_before, created_at, first_attempt_at, slot, fault, payload, run"
    };
}
pub(super) use columns;

/// A recorded action from its row.
pub(super) fn outbox_row(row: &PgRow) -> Tried<OutboxRow> {
    let row = Reading::new(row, "outbox");
    Ok(OutboxRow {
        id: ActionId(row.get("id")?),
        action: row.json("payload")?,
        slot: row.text_if_any("slot")?,
        priority: row.word("priority")?,
        state: row.word("state")?,
        attempts: row.count("attempts")?,
        in_doubt: row.get("in_doubt")?,
        not_before: row.millis("not_before")?,
        created_at: row.millis("created_at")?,
        first_attempt_at: row.millis_if_any("first_attempt_at")?,
        fault: row.json_if_any("fault")?,
        // One of a kind that this version does not know counts as none.
        run: row.text_if_any("run")?.and_then(|run| run.parse().ok()),
    })
}

/// The waiting actions of these slots.
pub(super) const OF_SLOTS: &str = "SELECT id, slot, payload FROM outbox \
     WHERE bridge = $1 AND state = 0 AND slot IS NOT NULL AND slot = ANY ($2::text[]) ORDER BY id";

pub(super) const DELETE: &str = "DELETE FROM outbox WHERE bridge = $1 AND id = ANY ($2::bigint[])";

const INSERT: &str = "INSERT INTO outbox (bridge, side, state, priority, in_doubt, attempts, not_before, created_at, \
     name, key, slot, payload, run) \
     SELECT $1, side, 0, priority, false, 0, not_before, created_at, name, key, slot, payload, run \
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]) \
     WITH ORDINALITY AS new (side, priority, not_before, created_at, name, key, slot, payload, run, place) ORDER BY place \
     RETURNING id";

pub(super) const CANCEL: &str = "DELETE FROM outbox \
     WHERE bridge = $1 AND state = 0 AND slot IS NOT NULL AND slot = ANY ($2)";

pub(super) const RETRY: &str = "UPDATE outbox SET state = 0, not_before = $3, attempts = $4, in_doubt = $5, fault = $6, died_at = NULL \
     WHERE bridge = $1 AND id = $2";

pub(super) const KILL: &str = "UPDATE outbox SET state = 2, fault = $3, died_at = $4 WHERE bridge = $1 AND id = $2";

pub(super) const RESCUE: &str = "UPDATE outbox SET state = 0, in_doubt = true WHERE bridge = $1 AND state = 1";

/// Records actions of which no two share a slot. Returns their rows in order.
pub(super) async fn add(tx: &mut Transaction<'_>, actions: &[&NewAction]) -> Tried<Vec<ActionId>> {
    let mut texts = Vec::with_capacity(actions.len());
    for new in actions {
        texts.push(json(&new.action)?);
    }
    let kept = clear_slots(tx, actions, &texts).await?;
    let mut rows = NewRows::default();
    for (place, new) in actions.iter().enumerate().filter(|(place, _)| !kept.contains_key(place)) {
        rows.push(new, std::mem::take(&mut texts[place]));
    }
    let mut added = rows.insert(tx).await?.into_iter();
    Ok((0..actions.len()).filter_map(|place| kept.get(&place).copied().or_else(|| added.next())).collect())
}

/// Rows as the statement takes them: a list for each column.
#[derive(Default)]
struct NewRows {
    sides: Vec<i64>,
    priorities: Vec<i64>,
    not_before: Vec<i64>,
    created_at: Vec<i64>,
    names: Vec<&'static str>,
    keys: Vec<String>,
    slots: Vec<Option<String>>,
    payloads: Vec<String>,
    runs: Vec<Option<String>>,
}

impl NewRows {
    fn push(&mut self, new: &NewAction, payload: String) {
        self.sides.push(new.action.side().number());
        self.priorities.push(new.priority.number());
        self.not_before.push(new.not_before.0);
        self.created_at.push(new.created_at.0);
        self.names.push(new.action.name());
        self.keys.push(storable(&new.action.key()).into_owned());
        self.slots.push(new.slot.as_deref().map(|slot| storable(slot).into_owned()));
        self.payloads.push(payload);
        self.runs.push(new.run.map(|run| run.to_string()));
    }

    async fn insert(self, tx: &mut Transaction<'_>) -> Tried<Vec<ActionId>> {
        if self.sides.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_scalar(INSERT).bind(tx.bridge).bind(self.sides).bind(self.priorities);
        let query = query.bind(self.not_before).bind(self.created_at).bind(self.names).bind(self.keys);
        let query = query.bind(self.slots).bind(self.payloads).bind(self.runs);
        let mut ids: Vec<i64> = query.fetch_all(&mut *tx.connection).await?;
        // Ids rise in the order of the values, answers come in any.
        ids.sort_unstable();
        Ok(ids.into_iter().map(ActionId).collect())
    }
}

/// Drops what waits in the slots of new actions. Where an equal one waits it is kept instead:
/// returned by the place of the new action.
async fn clear_slots(
    tx: &mut Transaction<'_>,
    actions: &[&NewAction],
    texts: &[String],
) -> Tried<BTreeMap<usize, ActionId>> {
    let slots: BTreeMap<&str, usize> =
        actions.iter().enumerate().filter_map(|(place, new)| Some((new.slot.as_deref()?, place))).collect();
    let (mut kept, mut dropped) = (BTreeMap::new(), Vec::new());
    if slots.is_empty() {
        return Ok(kept);
    }
    let names: Vec<String> = slots.keys().map(|slot| storable(slot).into_owned()).collect();
    let waiting = sqlx::query(OF_SLOTS).bind(tx.bridge).bind(names).fetch_all(&mut *tx.connection).await?;
    let places: BTreeMap<_, _> = slots.iter().map(|(slot, place)| (storable(slot), *place)).collect();
    for row in &waiting {
        let id = ActionId(row.try_get(0)?);
        match places.get(row.try_get::<&str, _>(1)?) {
            Some(place) if texts[*place] == row.try_get::<&str, _>(2)? && !kept.contains_key(place) => {
                kept.insert(*place, id);
            }
            _ => dropped.push(id),
        }
    }
    drop_rows(tx, &dropped).await?;
    Ok(kept)
}

/// Takes actions out of the outbox.
pub(super) async fn drop_rows(tx: &mut Transaction<'_>, ids: &[ActionId]) -> Tried<()> {
    if !ids.is_empty() {
        sqlx::query(DELETE)
            .bind(tx.bridge)
            .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(())
}

/// Drops the waiting actions of slots.
pub(super) async fn cancel(tx: &mut Transaction<'_>, slots: &[&str]) -> Tried<()> {
    let slots: Vec<String> = slots.iter().map(|slot| storable(slot).into_owned()).collect();
    sqlx::query(CANCEL).bind(tx.bridge).bind(slots).execute(&mut *tx.connection).await?;
    Ok(())
}

/// How an action goes back to wait.
pub(super) struct Retry<'a> {
    /// Which.
    pub(super) id: ActionId,
    /// Not before this.
    pub(super) not_before: Millis,
    /// Attempts so far.
    pub(super) attempts: u32,
    /// Whether it may have been carried out.
    pub(super) in_doubt: bool,
    /// Why.
    pub(super) fault: &'a Fault,
}

/// Puts an action back to wait.
pub(super) async fn retry(tx: &mut Transaction<'_>, retry: Retry<'_>) -> Tried<()> {
    let query =
        sqlx::query(RETRY).bind(tx.bridge).bind(retry.id.0).bind(retry.not_before.0).bind(i64::from(retry.attempts));
    query.bind(retry.in_doubt).bind(json(retry.fault)?).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Makes an action a dead letter.
pub(super) async fn dead(tx: &mut Transaction<'_>, id: ActionId, fault: &Fault, at: Millis) -> Tried<()> {
    let query = sqlx::query(KILL).bind(tx.bridge).bind(id.0).bind(json(fault)?).bind(at.0);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Claimable actions by priority and age, each with the less urgent ones that must go before it.
///
/// An action is claimable when all before it in its key are ready, due and of its name; the same then
/// holds for those. More urgent ones before it stand earlier in this list anyway.
pub(super) const CLAIMABLE: &str = "WITH picked AS MATERIALIZED ( \
         SELECT id, key, priority FROM outbox AS new \
         WHERE bridge = $1 AND side = $2 AND state = 0 AND not_before <= $3 AND NOT EXISTS ( \
             SELECT 1 FROM outbox AS old \
             WHERE old.bridge = new.bridge AND old.key = new.key AND old.id < new.id AND old.state < 2 \
             AND (old.state = 1 OR old.name <> new.name OR old.not_before > $3)) \
         ORDER BY priority, id LIMIT $4) \
     SELECT old.id FROM picked CROSS JOIN outbox AS old \
     WHERE old.bridge = $1 AND old.key = picked.key AND old.state < 2 AND old.id <= picked.id \
     AND (old.id = picked.id OR old.priority > picked.priority) \
     ORDER BY picked.priority, picked.id, old.id";

pub(super) const SET_RUNNING: &str = concat!(
    "UPDATE outbox SET state = 1, first_attempt_at = coalesce(first_attempt_at, $2) WHERE bridge = $1 \
     AND id = ANY ($3::bigint[]) AND state = 0 RETURNING ",
    columns!()
);

/// Claimed actions that nobody has begun to carry out.
pub(super) const UNCLAIM: &str =
    "UPDATE outbox SET state = 0 WHERE bridge = $1 AND id = ANY ($2::bigint[]) AND state = 1";

/// Takes actions that are due and sets them running. Rows that cannot be read become dead letters.
pub(super) struct Claim {
    pub(super) side: Side,
    pub(super) now: Millis,
    pub(super) rows_max: u32,
}

impl Claim {
    /// What is taken, in order, each once.
    async fn chosen(&self, tx: &mut Transaction<'_>) -> Tried<Vec<i64>> {
        let query = sqlx::query_scalar(CLAIMABLE).bind(tx.bridge).bind(self.side.number()).bind(self.now.0);
        let listed: Vec<i64> = query.bind(i64::from(self.rows_max)).fetch_all(&mut *tx.connection).await?;
        let mut seen = BTreeSet::new();
        Ok(listed.into_iter().filter(|id| seen.insert(*id)).take(self.rows_max as usize).collect())
    }
}

#[async_trait]
impl Request for Claim {
    type Answer = Vec<OutboxRow>;

    async fn apply(&self, tx: &mut Transaction<'_>) -> Tried<Vec<OutboxRow>> {
        let chosen = self.chosen(tx).await?;
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query(SET_RUNNING).bind(tx.bridge).bind(self.now.0).bind(&chosen);
        let rows = query.fetch_all(&mut *tx.connection).await?;
        let places: BTreeMap<i64, usize> = chosen.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            match outbox_row(row) {
                Ok(read) => claimed.push(read),
                // One row that cannot be read must not stop the others for ever.
                Err(Trouble::Told(error)) => {
                    let fault = Fault::new(FaultKind::Broken, error.to_string());
                    dead(tx, ActionId(row.try_get("id")?), &fault, self.now).await?;
                }
                Err(trouble) => return Err(trouble),
            }
        }
        claimed.sort_by_key(|row| places.get(&row.id.0).copied());
        Ok(claimed)
    }

    /// Nobody carries out what was claimed for a caller who was told that it failed: it waits again.
    async fn take_back(&self, tx: &mut Transaction<'_>, answer: &Vec<OutboxRow>) -> Tried<()> {
        let ids: Vec<i64> = answer.iter().map(|row| row.id.0).collect();
        sqlx::query(UNCLAIM).bind(tx.bridge).bind(ids).execute(&mut *tx.connection).await?;
        Ok(())
    }
}

/// Sets running actions ready and in doubt.
pub(super) struct Rescue;

#[async_trait]
impl Request for Rescue {
    type Answer = u64;

    async fn apply(&self, tx: &mut Transaction<'_>) -> Tried<u64> {
        Ok(sqlx::query(RESCUE).bind(tx.bridge).execute(&mut *tx.connection).await?.rows_affected())
    }
}
