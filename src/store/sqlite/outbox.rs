//! Decided writes: recorded, replaced in their slot, claimed, settled.

use super::rows::{Reading, Word, json};
use super::trouble::{Tried, Trouble};
use super::writer::{Request, Transaction};
use crate::core::action::Side;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::ActionId;
use crate::core::time::Millis;
use crate::ports::store::{NewAction, OutboxRow};
use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of [`outbox_row`].
macro_rules! columns {
    () => {
        "id, state, priority, in_doubt, attempts, not_before, created_at, first_attempt_at, slot, fault, payload, run"
    };
}
pub(super) use columns;

/// A recorded action from its row.
pub(super) fn outbox_row(row: &SqliteRow) -> Tried<OutboxRow> {
    let row = Reading::new(row, "outbox");
    Ok(OutboxRow {
        id: ActionId(row.get("id")?),
        action: row.json("payload")?,
        slot: row.get("slot")?,
        priority: row.word("priority")?,
        state: row.word("state")?,
        attempts: row.count("attempts")?,
        in_doubt: row.get("in_doubt")?,
        not_before: row.millis("not_before")?,
        created_at: row.millis("created_at")?,
        first_attempt_at: row.millis_if_any("first_attempt_at")?,
        fault: row.json_if_any("fault")?,
        // One of a kind that this version does not know counts as none.
        run: row.get::<Option<String>>("run")?.and_then(|run| run.parse().ok()),
    })
}

/// The waiting actions of these slots.
pub(super) const OF_SLOTS: &str = "SELECT id, slot, payload FROM outbox INDEXED BY outbox_slot \
     WHERE bridge = ?1 AND state = 0 AND slot IS NOT NULL AND slot IN (SELECT value FROM json_each(?2)) ORDER BY id";

pub(super) const DELETE: &str =
    "DELETE FROM outbox NOT INDEXED WHERE bridge = ?1 AND id IN (SELECT value FROM json_each(?2))";

const INSERT: &str = "INSERT INTO outbox (bridge, side, state, priority, in_doubt, attempts, not_before, created_at, \
     name, key, slot, payload, run) \
     SELECT ?1, value ->> 0, 0, value ->> 1, 0, 0, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
     value ->> 7, value ->> 8 FROM json_each(?2) ORDER BY json_each.key RETURNING id";

pub(super) const CANCEL: &str = "DELETE FROM outbox INDEXED BY outbox_slot \
     WHERE bridge = ?1 AND state = 0 AND slot IS NOT NULL AND slot IN (SELECT value FROM json_each(?2))";

pub(super) const RETRY: &str = "UPDATE outbox NOT INDEXED SET state = 0, not_before = ?3, attempts = ?4, in_doubt = ?5, fault = ?6, died_at = NULL \
     WHERE bridge = ?1 AND id = ?2";

pub(super) const KILL: &str =
    "UPDATE outbox NOT INDEXED SET state = 2, fault = ?3, died_at = ?4 WHERE bridge = ?1 AND id = ?2";

pub(super) const RESCUE: &str =
    "UPDATE outbox INDEXED BY outbox_running SET state = 0, in_doubt = 1 WHERE bridge = ?1 AND state = 1";

/// Records actions of which no two share a slot. Returns their rows in order.
pub(super) async fn add(tx: &mut Transaction<'_>, bridge: i64, actions: &[&NewAction]) -> Tried<Vec<ActionId>> {
    let mut texts = Vec::with_capacity(actions.len());
    for new in actions {
        texts.push(json(&new.action)?);
    }
    let kept = clear_slots(tx, bridge, actions, &texts).await?;
    let mut rows = Vec::new();
    for (place, new) in actions.iter().enumerate().filter(|(place, _)| !kept.contains_key(place)) {
        rows.push((
            new.action.side().number(),
            new.priority.number(),
            new.not_before,
            new.created_at,
            new.action.name(),
            new.action.key(),
            &new.slot,
            &texts[place],
            new.run,
        ));
    }
    let mut added = inserted(tx, bridge, &rows).await?.into_iter();
    Ok((0..actions.len()).filter_map(|place| kept.get(&place).copied().or_else(|| added.next())).collect())
}

async fn inserted<T: serde::Serialize>(tx: &mut Transaction<'_>, bridge: i64, rows: &[T]) -> Tried<Vec<ActionId>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_scalar(INSERT).bind(bridge).bind(json(rows)?).fetch_all(&mut *tx.connection).await?;
    let mut ids: Vec<i64> = rows;
    // Ids rise in the order of the values, answers come in any.
    ids.sort_unstable();
    Ok(ids.into_iter().map(ActionId).collect())
}

/// Drops what waits in the slots of new actions. Where an equal one waits it is kept instead:
/// returned by the place of the new action.
async fn clear_slots(
    tx: &mut Transaction<'_>,
    bridge: i64,
    actions: &[&NewAction],
    texts: &[String],
) -> Tried<BTreeMap<usize, ActionId>> {
    let slots: BTreeMap<&str, usize> =
        actions.iter().enumerate().filter_map(|(place, new)| Some((new.slot.as_deref()?, place))).collect();
    let (mut kept, mut dropped) = (BTreeMap::new(), Vec::new());
    if slots.is_empty() {
        return Ok(kept);
    }
    let names: Vec<&str> = slots.keys().copied().collect();
    let waiting = sqlx::query(OF_SLOTS).bind(bridge).bind(json(&names)?).fetch_all(&mut *tx.connection).await?;
    for row in &waiting {
        let id = ActionId(row.try_get(0)?);
        match slots.get(row.try_get::<&str, _>(1)?) {
            Some(place) if texts[*place] == row.try_get::<&str, _>(2)? && !kept.contains_key(place) => {
                kept.insert(*place, id);
            }
            _ => dropped.push(id),
        }
    }
    drop_rows(tx, bridge, &dropped).await?;
    Ok(kept)
}

/// Takes actions out of the outbox.
pub(super) async fn drop_rows(tx: &mut Transaction<'_>, bridge: i64, ids: &[ActionId]) -> Tried<()> {
    if !ids.is_empty() {
        sqlx::query(DELETE).bind(bridge).bind(json(ids)?).execute(&mut *tx.connection).await?;
    }
    Ok(())
}

/// Drops the waiting actions of slots.
pub(super) async fn cancel(tx: &mut Transaction<'_>, bridge: i64, slots: &[&str]) -> Tried<()> {
    sqlx::query(CANCEL).bind(bridge).bind(json(slots)?).execute(&mut *tx.connection).await?;
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
pub(super) async fn retry(tx: &mut Transaction<'_>, bridge: i64, retry: Retry<'_>) -> Tried<()> {
    let query = sqlx::query(RETRY).bind(bridge).bind(retry.id.0).bind(retry.not_before.0).bind(retry.attempts);
    query.bind(retry.in_doubt).bind(json(retry.fault)?).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Makes an action a dead letter.
pub(super) async fn dead(tx: &mut Transaction<'_>, bridge: i64, id: ActionId, fault: &Fault, at: Millis) -> Tried<()> {
    let query = sqlx::query(KILL).bind(bridge).bind(id.0).bind(json(fault)?).bind(at.0);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Claimable actions by priority and age, each with the less urgent ones that must go before it.
///
/// An action is claimable when all before it in its key are ready, due and of its name; the same then
/// holds for those. More urgent ones before it stand earlier in this list anyway.
pub(super) const CLAIMABLE: &str = "WITH picked AS MATERIALIZED ( \
         SELECT id, key, priority FROM outbox AS new INDEXED BY outbox_ready \
         WHERE bridge = ?1 AND side = ?2 AND state = 0 AND not_before <= ?3 AND NOT EXISTS ( \
             SELECT 1 FROM outbox AS old INDEXED BY outbox_key \
             WHERE old.bridge = new.bridge AND old.key = new.key AND old.id < new.id AND old.state < 2 \
             AND (old.state = 1 OR old.name <> new.name OR old.not_before > ?3)) \
         ORDER BY priority, id LIMIT ?4) \
     SELECT old.id FROM picked CROSS JOIN outbox AS old INDEXED BY outbox_key \
     WHERE old.bridge = ?1 AND old.key = picked.key AND old.state < 2 AND old.id <= picked.id \
     AND (old.id = picked.id OR old.priority > picked.priority) \
     ORDER BY picked.priority, picked.id, old.id";

pub(super) const SET_RUNNING: &str = concat!(
    "UPDATE outbox NOT INDEXED SET state = 1, first_attempt_at = coalesce(first_attempt_at, ?2) WHERE bridge = ?1 \
     AND id IN (SELECT value FROM json_each(?3)) RETURNING ",
    columns!()
);

/// Takes actions that are due and sets them running. Rows that cannot be read become dead letters.
pub(super) struct Claim {
    pub(super) bridge: String,
    pub(super) side: Side,
    pub(super) now: Millis,
    pub(super) rows_max: u32,
}

impl Claim {
    /// What is taken, in order, each once.
    async fn chosen(&self, tx: &mut Transaction<'_>, bridge: i64) -> Tried<Vec<i64>> {
        let query = sqlx::query_scalar(CLAIMABLE).bind(bridge).bind(self.side.number()).bind(self.now.0);
        let listed: Vec<i64> = query.bind(self.rows_max).fetch_all(&mut *tx.connection).await?;
        let mut seen = BTreeSet::new();
        Ok(listed.into_iter().filter(|id| seen.insert(*id)).take(self.rows_max as usize).collect())
    }
}

#[async_trait]
impl Request for Claim {
    type Answer = Vec<OutboxRow>;

    fn bridge(&self) -> &str {
        &self.bridge
    }

    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<Vec<OutboxRow>> {
        let bridge = tx.bridge(&self.bridge)?;
        let chosen = self.chosen(tx, bridge).await?;
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query(SET_RUNNING).bind(bridge).bind(self.now.0).bind(json(&chosen)?);
        let rows = query.fetch_all(&mut *tx.connection).await?;
        let places: BTreeMap<i64, usize> = chosen.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            match outbox_row(row) {
                Ok(read) => claimed.push(read),
                // One row that cannot be read must not stop the others for ever.
                Err(Trouble::Told(error)) => {
                    let fault = Fault::new(FaultKind::Broken, error.to_string());
                    dead(tx, bridge, ActionId(row.try_get("id")?), &fault, self.now).await?;
                }
                Err(trouble) => return Err(trouble),
            }
        }
        claimed.sort_by_key(|row| places.get(&row.id.0).copied());
        Ok(claimed)
    }
}

/// Sets running actions ready and in doubt.
pub(super) struct Rescue {
    pub(super) bridge: String,
}

#[async_trait]
impl Request for Rescue {
    type Answer = u64;

    fn bridge(&self) -> &str {
        &self.bridge
    }

    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<u64> {
        let bridge = tx.bridge(&self.bridge)?;
        Ok(sqlx::query(RESCUE).bind(bridge).execute(&mut *tx.connection).await?.rows_affected())
    }
}
