//! The slow full sweep: everything is listed once, and only what a whole listing does not show is
//! asked for by id. Nothing else concludes that a record is gone unless it was asked for.

use super::Bridge;
use super::backfill::Backfilling;
use super::guard::{REST_MS, tally};
use super::poll::{CONTACTS, LEADS, Listing, SWEEP, Stop};
use super::record::Draft;
use crate::core::check;
use crate::core::guard;
use crate::core::id::{ContactId, LeadId};
use crate::core::link::DealLink;
use crate::core::plan::ground::Ground;
use crate::core::schedule;
use crate::core::time::Millis;
use crate::ports::remote::{AMO_IDS_MAX, PageRequest, Priority};
use crate::ports::store::{Change, Cursor, Mark, StoreError, Subject};
use std::collections::BTreeSet;

/// How often the wait after a sweep that failed doubles, from five minutes to eighty.
const AGAIN_DOUBLED: u32 = 4;
/// Links read at once.
const LINKS_MAX: u32 = 1_000;
/// Drafts recorded at once.
const RECORDED_MAX: usize = 500;

/// What a sweep has seen. Other listings keep none of it.
#[derive(Debug, Default)]
pub(super) struct Swept {
    is_sweep: bool,
    contacts: BTreeSet<ContactId>,
    leads: BTreeSet<LeadId>,
    /// Rows changed before this should have been seen by the polls; none: nothing was polled yet.
    polled_before: Option<Millis>,
    missed: u64,
    gone: u64,
    /// Where a backfill keeps its place.
    pub(super) backfill: Option<Backfilling>,
}

impl Swept {
    /// Keeps a backfill's place and nothing else.
    pub(super) fn of_backfill(backfill: Backfilling) -> Swept {
        Swept { backfill: Some(backfill), ..Swept::default() }
    }

    /// A page was read: how many rows, and where the next one begins.
    pub(super) fn turned(&mut self, next: Option<PageRequest>, rows: usize, server_time: Option<Millis>) {
        if let Some(backfill) = &mut self.backfill {
            backfill.turned(next.map(|next| next.offset), rows, server_time);
        }
    }

    /// Remembers a row of a sweep.
    pub(super) fn saw_contacts(&mut self, ids: impl Iterator<Item = ContactId>) {
        if self.is_sweep {
            self.contacts.extend(ids);
        }
    }

    /// Remembers a row of a sweep.
    pub(super) fn saw_leads(&mut self, ids: impl Iterator<Item = LeadId>) {
        if self.is_sweep {
            self.leads.extend(ids);
        }
    }

    /// Counts news that the polls should have brought: `updated_at`, Unix seconds.
    pub(super) fn saw_news(&mut self, updated_at: i64) {
        let is_missed = self.polled_before.is_some_and(|before| Millis::from_seconds(updated_at) < before);
        self.missed += u64::from(is_missed);
    }
}

impl Bridge {
    /// The sweep never runs at the start: a new bridge reads everything through its first polls. A
    /// release of a stopped sweep begins it at once; one that was stopped or did not come to its end is tried
    /// again, ever more rarely, as it lists a whole account.
    pub(super) async fn sweep_loop(&self) {
        let mut failures: u32 = 0;
        while !self.is_stopping() {
            let Some(scheduled) = schedule::next(&self.parts.timing.sweep, self.now()) else { return };
            let due = match failures.checked_sub(1) {
                Some(before) => scheduled.min(self.now().plus(REST_MS << before.min(AGAIN_DOUBLED))),
                None => scheduled,
            };
            let mut is_due = false;
            while !is_due && !self.is_stopping() {
                is_due = tokio::select! {
                    biased;
                    () = self.parts.stop.cancelled() => false,
                    () = self.bells.sweep.heard() => true,
                    () = self.parts.env.sleep(due.since(self.now())) => self.now() >= due,
                };
            }
            if is_due && !self.is_stopping() {
                failures = if self.list(SWEEP, None, false).await { 0 } else { failures.saturating_add(1) };
            }
        }
    }

    pub(super) async fn sweep(&self, ground: &Ground, listing: &Listing) -> Result<(), Stop> {
        let polled_before = self.polled_before(CONTACTS).await?;
        let mut swept = Swept { is_sweep: true, polled_before, ..Swept::default() };
        self.list_contacts(ground, listing, &mut swept).await?;
        self.conclude_contacts(ground, &mut swept).await?;
        swept.polled_before = self.polled_before(LEADS).await?;
        self.list_leads(ground, listing, &mut swept).await?;
        self.conclude_leads(ground, &mut swept).await?;
        self.report_sweep(listing, &swept).await?;
        Ok(())
    }

    async fn polled_before(&self, cursor: &str) -> Result<Option<Millis>, StoreError> {
        let timing = &self.parts.timing;
        let back_ms = timing.overlap_ms.max(timing.recheck_window_ms);
        Ok(self.store().cursor(self.name(), cursor).await?.map(|cursor| cursor.at.minus(back_ms)))
    }

    /// Says what it found. Only now it is through: its contacts alone are half of it.
    async fn report_sweep(&self, listing: &Listing, swept: &Swept) -> Result<(), StoreError> {
        let (missed, gone) = (swept.missed, swept.gone);
        let listed = (swept.contacts.len() + swept.leads.len()) as u64;
        if missed + gone > 0 {
            tracing::warn!(
                bridge = self.name(),
                missed,
                gone,
                listed,
                "the sweep found {missed} changes that the polls had missed and {gone} records that are gone"
            );
        } else {
            tracing::info!(bridge = self.name(), listed, "the sweep found nothing that the polls had missed");
        }
        let now = self.now();
        let found = guard::Sweep { at: now, listed, missed, gone };
        let text = serde_json::to_string(&found).unwrap_or_default();
        let cursor = Cursor { at: listing.started_at(), moved_at: now };
        self.commit(vec![Change::PutText(guard::SWEEP, text), Change::PutCursor(SWEEP, cursor)]).await
    }

    /// An empty listing while something is linked says nothing about what is linked.
    async fn believes(&self, what: &'static str, listed: usize, has_links: bool) -> Result<(), Stop> {
        let excess = check::empty_listing(what, listed as u64, has_links);
        if self.lets_through(SWEEP, excess).await? { Ok(()) } else { Err(Stop::Guard) }
    }

    /// Linked contacts that were not listed are read by id; those not there are unlinked.
    async fn conclude_contacts(&self, ground: &Ground, swept: &mut Swept) -> Result<(), Stop> {
        let (mut after, mut linked, mut drafts) = (None, 0_u64, Vec::new());
        loop {
            self.go_on()?;
            let page = self.store().linked_contacts(self.name(), after, LINKS_MAX).await?;
            let Some(last) = page.last() else { break };
            if after.is_none() {
                self.believes("contacts", swept.contacts.len(), true).await?;
            }
            (after, linked) = (Some(*last), linked + page.len() as u64);
            let missing: Vec<ContactId> = page.into_iter().filter(|id| !swept.contacts.contains(id)).collect();
            for ids in missing.chunks(AMO_IDS_MAX) {
                self.go_on()?;
                drafts.extend(self.look_for_contacts(ground, ids).await?);
            }
        }
        swept.gone += self.record_gone(ground, drafts, linked).await?;
        Ok(())
    }

    /// Those not there are unlinked; those there were passed over by the listing and are looked at.
    async fn look_for_contacts(&self, ground: &Ground, ids: &[ContactId]) -> Result<Vec<Draft>, Stop> {
        let page = self.parts.amo.contacts_by_id(ids, Priority::Background).await?;
        let mut there: BTreeSet<ContactId> = page.rows.iter().map(|contact| contact.id).collect();
        there.extend(page.broken.iter().filter_map(|row| row.id).map(ContactId));
        let absent: Vec<ContactId> = ids.iter().copied().filter(|id| !there.contains(id)).collect();
        self.mark_all(page.rows.iter().map(|contact| Subject::Contact(contact.id))).await?;
        Ok(self.contacts_gone(ground, &absent, Priority::Background).await?)
    }

    /// Open leads that were not listed are read by id; those not there are closed.
    async fn conclude_leads(&self, ground: &Ground, swept: &mut Swept) -> Result<(), Stop> {
        let (mut after, mut open, mut drafts) = (None, 0_u64, Vec::new());
        loop {
            self.go_on()?;
            let page = self.store().deals_after(self.name(), after, LINKS_MAX).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.lead);
            let page: Vec<DealLink> = page.into_iter().filter(|deal| deal.open).collect();
            if open == 0 {
                self.believes("leads", swept.leads.len(), !page.is_empty()).await?;
            }
            open += page.len() as u64;
            let missing: Vec<DealLink> = page.into_iter().filter(|deal| !swept.leads.contains(&deal.lead)).collect();
            for deals in missing.chunks(AMO_IDS_MAX) {
                self.go_on()?;
                drafts.extend(self.look_for_leads(ground, deals).await?);
            }
        }
        swept.gone += self.record_gone(ground, drafts, open).await?;
        Ok(())
    }

    async fn look_for_leads(&self, ground: &Ground, deals: &[DealLink]) -> Result<Vec<Draft>, Stop> {
        let ids: Vec<LeadId> = deals.iter().map(|deal| deal.lead).collect();
        let page = self.parts.amo.leads_by_id(&ids, Priority::Background).await?;
        let mut there: BTreeSet<LeadId> = page.rows.iter().map(|lead| lead.id).collect();
        there.extend(page.broken.iter().filter_map(|row| row.id).map(LeadId));
        self.mark_all(page.rows.iter().map(|lead| Subject::Lead(lead.id))).await?;
        let absent: Vec<&DealLink> = deals.iter().filter(|deal| !there.contains(&deal.lead)).collect();
        Ok(self.leads_gone(ground, &absent, Priority::Background).await??)
    }

    async fn mark_all(&self, subjects: impl Iterator<Item = Subject>) -> Result<(), StoreError> {
        let due = self.now();
        self.commit(subjects.map(|subject| Change::Mark(Mark { subject, due, attempts: 0, run: None })).collect()).await
    }

    /// Records what is gone, under the guard, as one pass over `records` links. Returns how many.
    async fn record_gone(&self, ground: &Ground, drafts: Vec<Draft>, records: u64) -> Result<u64, Stop> {
        let tally = check::Tally { records, ..tally(&drafts) };
        let excess = check::blast_radius(&ground.policy.guard, tally);
        if !self.lets_through(SWEEP, excess).await? {
            return Err(Stop::Guard);
        }
        let (mut gone, mut drafts) = (0, drafts.into_iter().peekable());
        while drafts.peek().is_some() {
            let part: Vec<Draft> = drafts.by_ref().take(RECORDED_MAX).collect();
            gone += self.record(part, Vec::new()).await? as u64;
        }
        Ok(gone)
    }
}
