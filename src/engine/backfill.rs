//! Everything once more, at the lowest priority: what was asked for by a text in the store is carried out page by
//! page, and its place is kept in the same commit as what the page led to.

use super::looked::Looked;
use super::people::Clients;
use super::poll::{BACKFILL, CONTACTS, LEADS, Listing, Stop};
use super::record::Draft;
use super::sweep::Swept;
use super::{Bridge, Step};
use crate::core::backfill::{self, KNOWN, PROGRESS, Part, Progress, REQUEST, Request};
use crate::core::fault::{Fault, FaultKind};
use crate::core::gap::ZONE_MAX_MS;
use crate::core::id::{ClientId, ContactId};
use crate::core::link::ClientLink;
use crate::core::model::ClientRow;
use crate::core::plan::ground::Ground;
use crate::core::time::Millis;
use crate::ports::meter::Sent;
use crate::ports::remote::{AMO_IDS_MAX, PageRequest, Priority, SALEBOT_PAGE_MAX};
use crate::ports::store::{Change, Cursor, Stored, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// The wait after a page that could not be read or recorded. A pass that a guard stopped rests longer, as all do.
const REST_MS: i64 = 15_000;
/// Clients whose newcomers are looked at between two commits of the place.
const CLIENTS_AT_ONCE: u32 = 100;

/// A backfill under way.
#[derive(Debug, Clone)]
pub(super) struct Backfilling {
    progress: Progress,
    part: Part,
    rows: u64,
    next: Option<u32>,
    /// The server's clock when the part was begun.
    server_start: Option<Millis>,
}

/// The backfill whose requests are counted, by when it was asked for, and what was sent when that was last done.
pub(super) type Counted = Option<(Millis, Sent)>;

/// What drafts would do, counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Tallied {
    changes: Vec<Change>,
    cleared: u64,
}

impl Tallied {
    /// Counts drafts that are recorded before their page is.
    pub(super) fn take(&mut self, drafts: &[Draft]) {
        self.cleared += drafts.iter().map(|draft| draft.cleared).sum::<u64>();
        let counted = |change: &&Change| matches!(change, Change::AddAction(_) | Change::Journal(_));
        self.changes.extend(drafts.iter().flat_map(|draft| &draft.changes).filter(counted).cloned());
    }
}

impl Backfilling {
    /// A page was read.
    pub(super) fn turned(&mut self, next: Option<u32>, rows: usize, server_time: Option<Millis>) {
        (self.next, self.rows) = (next, rows as u64);
        self.server_start = self.server_start.or(server_time);
    }

    /// True when nothing is to be recorded.
    pub(super) fn is_dry(&self) -> bool {
        self.progress.request.dry_run
    }

    /// Its place, to count in.
    pub(super) fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// Counts what a page led to; the change remembers it.
    pub(super) fn page_changes(&mut self, looked: &Looked) -> Vec<Change> {
        let mut tallied = looked.recorded.clone().unwrap_or_default();
        tallied.take(&looked.drafts);
        self.progress.cleared += tallied.cleared;
        self.progress.put_off += looked.put_off.len() as u64;
        for change in &tallied.changes {
            match change {
                Change::AddAction(new) => self.progress.plans(&new.action),
                Change::Journal(entry) if entry.kind == "linked" => self.progress.linked += 1,
                Change::Journal(entry) if entry.kind == "conflict" => self.progress.conflicts += 1,
                _ => {}
            }
        }
        self.progress.page(self.part, self.rows, self.next);
        vec![Change::PutText(PROGRESS, self.progress.text())]
    }
}

impl Bridge {
    /// Goes on with what was asked for, a part at a time.
    pub(super) async fn backfill_step(&self) -> Stored<Step> {
        let Some(ground) = self.ground() else { return Ok(Step::Idle(self.until_grounded())) };
        let Some(progress) = self.asked_backfill().await? else { return Ok(Step::Idle(None)) };
        let Some(part) = progress.part() else {
            let mut done = Progress { done_at: Some(self.now()), ..progress };
            self.count_sent(&mut done);
            tracing::info!(bridge = self.name(), looked_at = ?done.looked_at, planned = ?done.planned, dry_run = done.request.dry_run, "the backfill is through");
            let mut changes = vec![Change::PutText(PROGRESS, done.text()), Change::PutText(REQUEST, String::new())];
            if done.request.since.is_none() {
                let mut known = done.known.clone();
                known.extend(done.looked_at.iter().map(|(part, rows)| (*part, *rows)));
                changes.push(Change::PutText(KNOWN, serde_json::to_string(&known).unwrap_or_default()));
            }
            self.commit(changes).await?;
            self.health.ends(BACKFILL);
            return Ok(Step::More);
        };
        // Another one that is asked for meanwhile has no fault, and is begun at once.
        if progress.fault.is_some() && (self.is_held(BACKFILL) || self.is_resting()) {
            return Ok(Step::Idle(None));
        }
        self.health.begins(BACKFILL);
        self.counts_from_here(progress.request.asked_at);
        let mut swept = Swept::of_backfill(Backfilling::new(progress, part));
        match self.backfill_part(&ground, part, &mut swept).await {
            Ok(()) => {
                self.put_listed_cursor(part, &swept).await?;
                self.went_through(BACKFILL).await?;
                Ok(Step::More)
            }
            Err(Stop::Store(error)) => Err(error),
            Err(Stop::Fault(fault)) if fault.kind == FaultKind::Interrupted => Ok(Step::Idle(None)),
            Err(Stop::Fault(fault)) => self.backfill_rests(fault.to_string()).await,
            Err(Stop::Guard) => {
                self.backfill_rests("a guard stopped it; if that is right: salebridge release".to_owned()).await
            }
        }
    }

    /// The backfill to go on with; none where none is asked for.
    async fn asked_backfill(&self) -> Stored<Option<Progress>> {
        let asked = self.store().text(self.name(), REQUEST).await?;
        let Some(request) = backfill::kept::<Request>(asked.as_deref()) else {
            self.health.ends(BACKFILL);
            return Ok(None);
        };
        let kept = self.store().text(self.name(), PROGRESS).await?;
        let kept = backfill::kept::<Progress>(kept.as_deref()).filter(|kept| kept.request == request);
        if kept.is_some() {
            return Ok(kept);
        }
        let known = self.store().text(self.name(), KNOWN).await?;
        let known = backfill::kept(known.as_deref()).unwrap_or_default();
        Ok(Some(Progress { known, ..Progress::new(request, self.now()) }))
    }

    async fn backfill_part(&self, ground: &Ground, part: Part, swept: &mut Swept) -> Result<(), Stop> {
        let Some(backfill) = &swept.backfill else { return Ok(()) };
        let (request, offset) = (backfill.progress.request.clone(), backfill.progress.offset);
        let listing = Listing::of_backfill(&request, offset, self.now());
        match part {
            Part::Contacts => self.list_contacts(ground, &listing, swept).await,
            Part::Leads => self.list_leads(ground, &listing, swept).await,
            Part::Clients => self.list_backfilled_clients(ground, &listing, &request, offset, swept).await,
        }
    }

    /// What stopped it is told, and it is tried again.
    async fn backfill_rests(&self, reason: String) -> Stored<Step> {
        if let Some(progress) = self.asked_backfill().await? {
            // A line an outage: it is tried every few seconds, for as long as that lasts.
            if progress.fault.as_ref() != Some(&reason) {
                tracing::warn!(bridge = self.name(), "the backfill rests; it goes on where it stopped: {reason}");
            }
            let mut progress = Progress { fault: Some(reason), ..progress };
            self.count_sent(&mut progress);
            self.commit(vec![Change::PutText(PROGRESS, progress.text())]).await?;
        }
        *self.backfill_rested.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
        Ok(Step::Idle(None))
    }

    /// A process that begins with a backfill, or goes on with it, counts what it sends from there.
    fn counts_from_here(&self, asked_at: Millis) {
        let mut counted = self.backfill_counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.is_none_or(|(of, _)| of != asked_at) {
            *counted = Some((asked_at, self.traffic.sent()));
            self.backfill_linked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// What linking would lead to. A dry run remembers no link, so that the first values of those it would link are
    /// planned from the link it would make; who is found twice, by a contact and as a client, counts once.
    pub(super) async fn plan_as_if_linked(&self, looked: &mut Looked) -> Result<(), Stop> {
        let Some(ground) = self.ground() else { return Ok(()) };
        let links = self.would_be_linked(looked);
        let contacts: BTreeSet<ContactId> = links.iter().filter_map(|link| link.contact).collect();
        for ids in contacts.into_iter().collect::<Vec<_>>().chunks(AMO_IDS_MAX) {
            let page = self.parts.amo.contacts_by_id(ids, Priority::Background).await?;
            let mut of = self.store().clients_of(self.name(), ids).await?;
            of.extend(links.iter().filter(|link| link.contact.is_some_and(|contact| ids.contains(&contact))).cloned());
            self.look_at_people(&ground, page.rows, Clients::linked(of), Priority::Background, None, looked).await?;
        }
        Ok(())
    }

    /// The links that these drafts would make, without those that were counted before: their drafts go. Not those of a
    /// contact's draft, which has the first values already.
    fn would_be_linked(&self, looked: &mut Looked) -> Vec<ClientLink> {
        let mut counted = self.backfill_linked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut links = Vec::new();
        looked.drafts.retain(|draft| {
            let linked = links_made(draft);
            if linked.is_empty() {
                return true;
            }
            let new: Vec<&ClientLink> = linked.into_iter().filter(|link| counted.insert(link.client.id)).collect();
            if !new.is_empty() && !draft.subjects.iter().any(|subject| matches!(subject, Subject::Contact(_))) {
                links.extend(new.iter().copied().cloned());
            }
            !new.is_empty()
        });
        links
    }

    /// Counts what was sent since this was last done, for a command that can only watch. Only where it is kept then.
    pub(super) fn count_sent(&self, progress: &mut Progress) {
        let now = self.traffic.sent();
        let mut counted = self.backfill_counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = counted.as_mut().filter(|(of, _)| *of == progress.request.asked_at) {
            let sent = now.since(*before);
            progress.requests += sent.background;
            progress.throttled += sent.throttled;
            *before = now;
        }
    }

    /// True for a while after a page failed. A clock that was set back ends it.
    fn is_resting(&self) -> bool {
        let since = *self.backfill_rested.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| (0..REST_MS).contains(&self.now().since(since)))
    }

    /// The command may take it back between two pages.
    pub(super) async fn still_asked(&self, backfill: &Backfilling) -> Result<(), Stop> {
        let asked = self.store().text(self.name(), REQUEST).await?;
        match backfill::kept::<Request>(asked.as_deref()).as_ref() == Some(&backfill.progress.request) {
            true => Ok(()),
            false => Err(Fault::new(FaultKind::Interrupted, "it was taken back").into()),
        }
    }

    /// A first import is the first whole listing: polls go on from where it began.
    async fn put_listed_cursor(&self, part: Part, swept: &Swept) -> Stored<()> {
        let cursor = match part {
            Part::Contacts => CONTACTS,
            Part::Leads => LEADS,
            Part::Clients => return Ok(()),
        };
        let Some(backfill) = &swept.backfill else { return Ok(()) };
        let request = &backfill.progress.request;
        let is_whole = !request.dry_run && request.since.is_none() && request.until.is_none();
        let at = backfill.progress.started_at.min(backfill.server_start.unwrap_or(backfill.progress.started_at));
        if is_whole && self.store().cursor(self.name(), cursor).await?.is_none() {
            self.commit(vec![Change::PutCursor(cursor, Cursor { at, moved_at: self.now() })]).await?;
        }
        Ok(())
    }

    /// Salebot's clients, oldest first, so that new ones do not move the pages.
    async fn list_backfilled_clients(
        &self,
        ground: &Ground,
        listing: &Listing,
        request: &Request,
        mut offset: u32,
        swept: &mut Swept,
    ) -> Result<(), Stop> {
        loop {
            self.go_on()?;
            let limit = SALEBOT_PAGE_MAX.min(CLIENTS_AT_ONCE);
            let page = self.parts.salebot.clients(offset, limit, true, Priority::Background).await?;
            offset += page.received;
            let next = (page.received >= limit).then_some(offset);
            if let Some(backfill) = &mut swept.backfill {
                backfill.turned(next, page.rows.len(), page.server_time);
            }
            let recorded = Some(Tallied::default());
            let is_dry = request.dry_run;
            let run = Some(listing.run());
            let mut looked = Looked { marks_failures: true, recorded, is_dry, run, ..Looked::default() };
            self.take_clients(ground, page.rows, request, &mut looked).await?;
            let again = std::mem::take(&mut looked.again);
            looked.drafts.extend(again.into_iter().map(|(subject, wait_ms)| self.look_again(subject, wait_ms)));
            self.finish_page(listing, looked, None, swept).await?;
            if next.is_none() {
                return Ok(());
            }
            self.estimate(request.since, swept).await?;
        }
    }

    /// Asks how long the part is that is being read, a question a page and few of them. What cannot be asked is not
    /// known, and stops nothing.
    pub(super) async fn estimate(&self, since: Option<Millis>, swept: &mut Swept) -> Result<(), Stop> {
        let Some(backfill) = &mut swept.backfill else { return Ok(()) };
        let Some(offset) = backfill.progress.question() else { return Ok(()) };
        let one = PageRequest { since, offset, limit: 1 };
        let received = match backfill.part {
            Part::Contacts => self.parts.amo.contacts(one, Priority::Background).await.map(|page| page.received),
            Part::Leads => self.parts.amo.leads(one, Priority::Background).await.map(|page| page.received),
            Part::Clients => {
                self.parts.salebot.clients(offset, 1, true, Priority::Background).await.map(|page| page.received)
            }
        };
        match received {
            Ok(received) => backfill.progress.gallop.answer(offset, received > 0),
            Err(fault) => {
                backfill.progress.gallop.unanswered();
                tracing::debug!(bridge = self.name(), part = backfill.part.name(), %fault, "the length of a listing could not be asked for")
            }
        }
        Ok(())
    }

    /// Those without a contact find or get one; those with one are compared with it, where the contacts were not.
    async fn take_clients(
        &self,
        ground: &Ground,
        rows: Vec<ClientRow>,
        request: &Request,
        looked: &mut Looked,
    ) -> Result<(), Stop> {
        let is_asked = |row: &ClientRow| match row.updated_at {
            Some(moment) if moment.zone_known => request.wants(moment.at),
            // Local times of a zone that is not known.
            Some(moment) => {
                let earliest = moment.at.minus(ZONE_MAX_MS);
                request.since.is_none_or(|since| moment.at >= since)
                    && request.until.is_none_or(|until| earliest <= until)
            }
            None => true,
        };
        let rows: Vec<ClientRow> =
            rows.into_iter().filter(|row| is_asked(row) && !row.client.is_group_chat()).collect();
        let ids: Vec<ClientId> = rows.iter().map(|row| row.client.id).collect();
        let known = self.store().clients(self.name(), &ids).await?;
        let mut known: BTreeMap<ClientId, ClientLink> = known.into_iter().map(|link| (link.client.id, link)).collect();
        let links =
            rows.into_iter().map(|row| known.remove(&row.client.id).unwrap_or_else(|| ClientLink::new(row.client)));
        let (with, mut without): (Vec<ClientLink>, Vec<ClientLink>) = links.partition(|link| link.contact.is_some());
        if request.dry_run {
            let counted = self.backfill_linked.lock().unwrap_or_else(PoisonError::into_inner);
            without.retain(|link| !counted.contains(&link.client.id));
        }
        self.look_at_newcomers(ground, without, Priority::Background, looked).await?;
        if !request.parts.contains(&Part::Contacts) {
            let contacts: BTreeSet<ContactId> = with.iter().filter_map(|link| link.contact).collect();
            self.compare_contacts(ground, contacts.into_iter().collect(), looked).await?;
        }
        Ok(())
    }

    async fn compare_contacts(&self, ground: &Ground, ids: Vec<ContactId>, looked: &mut Looked) -> Result<(), Stop> {
        for ids in ids.chunks(AMO_IDS_MAX) {
            let page = self.parts.amo.contacts_by_id(ids, Priority::Background).await?;
            let links = self.store().clients_of(self.name(), ids).await?;
            self.look_at_people(ground, page.rows, Clients::linked(links), Priority::Background, None, looked).await?;
        }
        Ok(())
    }
}

/// Clients that a draft gives a contact, by the journal's word on it.
fn links_made(draft: &Draft) -> Vec<&ClientLink> {
    let links_somebody = |change: &Change| matches!(change, Change::Journal(entry) if entry.kind == "linked");
    if !draft.changes.iter().any(links_somebody) {
        return Vec::new();
    }
    fn linked(change: &Change) -> Option<&ClientLink> {
        match change {
            Change::PutClient(link) if link.contact.is_some() => Some(link),
            _ => None,
        }
    }
    draft.changes.iter().filter_map(linked).collect()
}

impl Backfilling {
    fn new(progress: Progress, part: Part) -> Backfilling {
        Backfilling { progress, part, rows: 0, next: None, server_start: None }
    }
}
