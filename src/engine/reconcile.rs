//! Salebot's newest clients, looked at on a schedule: what changed there without a message that
//! reached us.

use super::Bridge;
use crate::core::fault::Fault;
use crate::core::id::ClientId;
use crate::core::link::ClientLink;
use crate::core::model::ClientRow;
use crate::core::plan::ground::Ground;
use crate::core::schedule;
use crate::core::time::Millis;
use crate::ports::remote::{Priority, SALEBOT_PAGE_MAX};
use crate::ports::store::{Change, Cursor, Mark, StoreError, Subject};
use std::collections::BTreeMap;

/// The name of the cursor.
pub const CLIENTS: &str = "clients";
/// Pages read in one scan: the newest 5,000 clients. A scan that meets nothing new ends earlier.
const PAGES_MAX: u32 = 10;
/// Salebot's times may lack a zone; what changed within this before the last scan is looked at again.
const OVERLAP_MS: i64 = 300_000;
/// Journal lines and dedupe keys are kept this long …
const KEPT_MS: i64 = 30 * 86_400_000;
/// … and dropped in portions of this many rows.
const PRUNED_MAX: u32 = 5_000;

impl Bridge {
    pub(super) async fn reconcile_loop(&self) {
        while !self.is_stopping() {
            let Some(due) = schedule::next(&self.parts.timing.reconcile, self.now()) else { return };
            while self.now() < due && !self.is_stopping() {
                tokio::select! {
                biased;
                        () = self.parts.stop.cancelled() => return,
                        () = self.parts.env.sleep(due.since(self.now())) => {}
                    }
            }
            match self.reconcile().await {
                Ok(Ok(())) => self.worked(CLIENTS),
                Ok(Err(fault)) => {
                    self.troubled(
                        CLIENTS,
                        &fault,
                        "Salebot's clients could not be listed; the scan is repeated on schedule",
                    );
                }
                Err(error) => self.store_failed(CLIENTS, &error).await,
            }
        }
    }

    async fn reconcile(&self) -> Result<Result<(), Fault>, StoreError> {
        if self.ground().is_none() {
            return Ok(Ok(()));
        }
        let started_at = self.now();
        let since = self.store().cursor(self.name(), CLIENTS).await?.map(|cursor| cursor.at.minus(OVERLAP_MS));
        let mut offset = 0;
        for _ in 0..PAGES_MAX {
            let page = match self.parts.salebot.clients(offset, SALEBOT_PAGE_MAX, false, Priority::Poll).await {
                Ok(page) => page,
                Err(fault) => return Ok(Err(fault)),
            };
            let received = page.received;
            let met_new = self.take_client_rows(page.rows, since).await?;
            offset += received;
            if received < SALEBOT_PAGE_MAX || (since.is_some() && !met_new) {
                break;
            }
        }
        let cursor = Change::PutCursor(CLIENTS, Cursor { at: started_at, moved_at: self.now() });
        self.commit(vec![cursor]).await?;
        self.store().prune(self.name(), started_at.minus(KEPT_MS), PRUNED_MAX).await?;
        Ok(Ok(()))
    }

    /// Marks linked clients that changed since; true when the page had any row changed since.
    async fn take_client_rows(&self, rows: Vec<ClientRow>, since: Option<Millis>) -> Result<bool, StoreError> {
        let is_new = |row: &ClientRow| since.is_none_or(|since| row.updated_at.is_none_or(|at| at >= since));
        let rows: Vec<ClientRow> = rows.into_iter().filter(is_new).collect();
        let ids: Vec<ClientId> = rows.iter().map(|row| row.client.id).collect();
        let links = self.store().clients(self.name(), &ids).await?;
        let links: BTreeMap<ClientId, ClientLink> = links.into_iter().map(|link| (link.client.id, link)).collect();
        // A first scan would read every client's variables; what is linked later is read then.
        let listens = |ground: &Ground| ground.reads_client_variables() || ground.leads_listen();
        let speaks = since.is_some() && self.ground().is_some_and(|ground| listens(&ground));
        let wanted = |link: &&ClientLink| speaks || link.unmatched;
        let mark = |link: &ClientLink| {
            Change::Mark(Mark { subject: Subject::Client(link.client.id), due: self.now(), attempts: 0 })
        };
        let changes = links.values().filter(wanted).map(mark).collect();
        self.commit(changes).await?;
        Ok(!rows.is_empty())
    }
}
