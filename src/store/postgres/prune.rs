//! What has become too old to keep.

use super::inbox;
use super::trouble::Tried;
use super::writer::{Request, Transaction};
use crate::core::time::Millis;
use async_trait::async_trait;

pub(super) const PRUNE_JOURNAL: &str = "DELETE FROM journal WHERE id = ANY (ARRAY(SELECT id FROM journal \
     WHERE bridge = $1 AND at < $2 ORDER BY at, id LIMIT $3))";

/// Drops dedupe keys and journal lines.
pub(super) struct Prune {
    pub(super) before: Millis,
    pub(super) rows_max: u32,
}

#[async_trait]
impl Request for Prune {
    type Answer = u64;

    async fn apply(&self, tx: &mut Transaction<'_>) -> Tried<u64> {
        let mut pruned = 0;
        for text in [inbox::PRUNE, PRUNE_JOURNAL] {
            let query = sqlx::query(text).bind(tx.bridge).bind(self.before.0).bind(i64::from(self.rows_max));
            pruned += query.execute(&mut *tx.connection).await?.rows_affected();
        }
        Ok(pruned)
    }
}
