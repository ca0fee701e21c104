//! Pushed bodies after they were taken in: dealt with, held, given up, tried again.

use super::rows::storable;
use super::trouble::Tried;
use super::writer::Transaction;
use crate::core::id::{ClientId, InboxId};
use crate::core::time::Millis;
use crate::store::limits::stored_id;

/// Bodies that are dealt with. Without a dedupe key nothing of them is needed any more.
pub(super) const DELETE_DONE: &str =
    "DELETE FROM inbox WHERE bridge = $1 AND id = ANY ($2::bigint[]) AND dedupe IS NULL AND state <> 1";

/// With a key, it stays.
pub(super) const EMPTY_DONE: &str = "UPDATE inbox SET state = 1, client = NULL, message = NULL, reason = NULL, body = NULL \
     WHERE bridge = $1 AND id = ANY ($2::bigint[]) AND dedupe IS NOT NULL AND state <> 1";

/// A body that cannot be dealt with. Those done are gone.
pub(super) const KILL: &str = "UPDATE inbox SET state = 2, reason = $3 WHERE bridge = $1 AND id = $2 AND state <> 1";

/// A dead body that is to be tried again.
pub(super) const RETRY: &str =
    "UPDATE inbox SET state = 0, due = $3, reason = NULL WHERE bridge = $1 AND id = $2 AND state = 2";

/// Clients' waiting bodies.
pub(super) const HOLD: &str = "UPDATE inbox SET due = held.due FROM unnest($2::bigint[], $3::bigint[]) AS held (client, due) \
     WHERE bridge = $1 AND inbox.client = held.client AND state = 0 AND inbox.due <> held.due";

/// Bodies that wait, each until its own time.
pub(super) const WAIT: &str = "UPDATE inbox SET due = held.due FROM unnest($2::bigint[], $3::bigint[]) AS held (id, due) \
     WHERE inbox.id = held.id AND bridge = $1 AND state = 0";

/// Dedupe keys that are old enough to go.
pub(super) const PRUNE: &str = "DELETE FROM inbox WHERE id = ANY (ARRAY(SELECT id FROM inbox \
     WHERE bridge = $1 AND state = 1 AND received_at < $2 ORDER BY received_at, id LIMIT $3))";

/// Drops bodies and keeps their keys. The usual case, bodies with keys, is one statement.
pub(super) async fn done(tx: &mut Transaction<'_>, ids: &[InboxId]) -> Tried<()> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let emptied = sqlx::query(EMPTY_DONE).bind(tx.bridge).bind(&ids).execute(&mut *tx.connection).await?;
    if emptied.rows_affected() < ids.len() as u64 {
        sqlx::query(DELETE_DONE).bind(tx.bridge).bind(&ids).execute(&mut *tx.connection).await?;
    }
    Ok(())
}

/// Makes a body a dead letter, or gives a dead one another reason.
pub(super) async fn dead(tx: &mut Transaction<'_>, id: InboxId, reason: &str) -> Tried<()> {
    let query = sqlx::query(KILL).bind(tx.bridge).bind(id.0).bind(storable(reason));
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Lets a dead body wait again.
pub(super) async fn retry(tx: &mut Transaction<'_>, id: InboxId, due: Millis) -> Tried<()> {
    sqlx::query(RETRY).bind(tx.bridge).bind(id.0).bind(due.0).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Puts bodies off, each until its own time.
pub(super) async fn wait(tx: &mut Transaction<'_>, rows: &[(InboxId, Millis)]) -> Tried<()> {
    let (ids, dues): (Vec<i64>, Vec<i64>) = rows.iter().map(|(id, due)| (id.0, due.0)).unzip();
    sqlx::query(WAIT).bind(tx.bridge).bind(&ids).bind(&dues).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Puts the waiting bodies of clients off, none of which comes twice.
pub(super) async fn hold(tx: &mut Transaction<'_>, holds: &[(ClientId, Millis)]) -> Tried<()> {
    let (mut clients, mut dues) = (Vec::with_capacity(holds.len()), Vec::with_capacity(holds.len()));
    for (client, due) in holds {
        clients.push(stored_id("client", client.0)?);
        dues.push(due.0);
    }
    sqlx::query(HOLD).bind(tx.bridge).bind(&clients).bind(&dues).execute(&mut *tx.connection).await?;
    Ok(())
}
