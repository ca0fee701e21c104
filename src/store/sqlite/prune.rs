//! What has become too old to keep.

use super::inbox;
use super::trouble::Tried;
use super::writer::{Request, Transaction};
use crate::core::time::Millis;
use async_trait::async_trait;

pub(super) const PRUNE_JOURNAL: &str = "DELETE FROM journal WHERE id IN (SELECT id FROM journal INDEXED BY journal_at \
     WHERE bridge = ?1 AND at < ?2 ORDER BY at, id LIMIT ?3)";

/// Drops dedupe keys and journal lines.
pub(super) struct Prune {
    pub(super) bridge: String,
    pub(super) before: Millis,
    pub(super) rows_max: u32,
}

#[async_trait]
impl Request for Prune {
    type Answer = u64;

    fn bridge(&self) -> &str {
        &self.bridge
    }

    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<u64> {
        let bridge = tx.bridge(&self.bridge)?;
        let mut pruned = 0;
        for text in [inbox::PRUNE, PRUNE_JOURNAL] {
            let query = sqlx::query(text).bind(bridge).bind(self.before.0).bind(self.rows_max);
            pruned += query.execute(&mut *tx.connection).await?.rows_affected();
        }
        Ok(pruned)
    }
}
