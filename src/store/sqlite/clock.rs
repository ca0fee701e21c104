//! Our clock was set back.

use super::trouble::Tried;
use super::writer::Transaction;
use crate::core::time::Millis;

/// By how much: at least so, and as far as something that waits came later than now.
pub(super) const BY: &str = "SELECT max(?3, coalesce( \
         (SELECT max(received_at) FROM inbox INDEXED BY inbox_due WHERE bridge = ?1 AND state = 0), ?2) - ?2, coalesce( \
         (SELECT max(created_at) FROM outbox INDEXED BY outbox_key WHERE bridge = ?1 AND state < 2), ?2) - ?2)";

pub(super) const BODIES: &str =
    "UPDATE inbox INDEXED BY inbox_due SET due = max(?2, due - ?3) WHERE bridge = ?1 AND state = 0 AND due > ?2";

pub(super) const MARKS: &str =
    "UPDATE marks INDEXED BY marks_due SET due = max(?2, due - ?3) WHERE bridge = ?1 AND due > ?2";

/// Of both sides; the index is by side.
pub(super) const ACTIONS: &str = "UPDATE outbox INDEXED BY outbox_due SET not_before = max(?2, not_before - ?3) \
     WHERE bridge = ?1 AND side IN (0, 1) AND state = 0 AND not_before > ?2";

/// Has what is put off wait as long as it would have.
pub(super) async fn set_back(tx: &mut Transaction<'_>, bridge: i64, now: Millis, by_ms: i64) -> Tried<()> {
    let query = sqlx::query_scalar(BY).bind(bridge).bind(now.0).bind(by_ms);
    let by_ms: i64 = query.fetch_one(&mut *tx.connection).await?;
    if by_ms > 0 {
        for text in [BODIES, MARKS, ACTIONS] {
            sqlx::query(text).bind(bridge).bind(now.0).bind(by_ms).execute(&mut *tx.connection).await?;
        }
    }
    Ok(())
}
