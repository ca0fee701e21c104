//! Our clock was set back.

use super::trouble::Tried;
use super::writer::Transaction;
use crate::core::time::Millis;

/// By how much: at least so, and as far as something that waits came later than now.
const BY: &str = "SELECT greatest($3, \
         (SELECT max(received_at) FROM inbox WHERE bridge = $1 AND state = 0) - $2, \
         (SELECT max(created_at) FROM outbox WHERE bridge = $1 AND state < 2) - $2)";

const BODIES: &str = "UPDATE inbox SET due = greatest($2, due - $3) WHERE bridge = $1 AND state = 0 AND due > $2";

const MARKS: &str = "UPDATE marks SET due = greatest($2, due - $3) WHERE bridge = $1 AND due > $2";

const ACTIONS: &str = "UPDATE outbox SET not_before = greatest($2, not_before - $3) \
     WHERE bridge = $1 AND side IN (0, 1) AND state = 0 AND not_before > $2";

/// Has what is put off wait as long as it would have.
pub(super) async fn set_back(tx: &mut Transaction<'_>, now: Millis, by_ms: i64) -> Tried<()> {
    let query = sqlx::query_scalar(BY).bind(tx.bridge).bind(now.0).bind(by_ms);
    let by_ms: i64 = query.fetch_one(&mut *tx.connection).await?;
    if by_ms > 0 {
        for text in [BODIES, MARKS, ACTIONS] {
            sqlx::query(text).bind(tx.bridge).bind(now.0).bind(by_ms).execute(&mut *tx.connection).await?;
        }
    }
    Ok(())
}
