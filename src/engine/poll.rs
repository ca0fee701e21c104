//! Listings of amoCRM, page by page. Only a whole listing moves a cursor.

use super::guard::tally;
use super::looked::Looked;
use super::people::Clients;
use super::sweep::Swept;
use super::{Bridge, Failure, GROUND_MS};
use crate::core::backfill::Request;
use crate::core::check;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ContactId, LeadId};
use crate::core::link::{ContactSeen, DealLink};
use crate::core::model::{Contact, Lead};
use crate::core::plan::ground::Ground;
use crate::core::run::{Run, RunKind};
use crate::core::schedule;
use crate::core::time::Millis;
use crate::ports::remote::{AMO_PAGE_MAX, Page, PageRequest, Priority};
use crate::ports::store::{Change, Cursor, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// The names of the cursors.
pub const CONTACTS: &str = "contacts";
/// See [`CONTACTS`].
pub const LEADS: &str = "leads";
/// See [`CONTACTS`].
pub const SWEEP: &str = "sweep";

/// A backfill has its place instead of a cursor; this is its name for guards and the log.
pub const BACKFILL: &str = "backfill";

/// Rows that consecutive pages share, to notice that rows moved between two requests.
const SHARED_ROWS: u32 = 5;
/// How far a listing steps back when the shared rows are not there …
const STEP_BACK_ROWS: u32 = 50;
/// … and how often in one listing; then it is begun again another time.
const STEPS_BACK_MAX: u32 = 20;

/// Why a listing ended early.
pub(super) enum Stop {
    Fault(Fault),
    Store(StoreError),
    /// A check stopped it and told about it.
    Guard,
}

impl From<Failure> for Stop {
    fn from(error: Failure) -> Stop {
        match error {
            Failure::Fault(fault) => Stop::Fault(fault),
            Failure::Store(error) => Stop::Store(error),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

/// One listing under way.
pub(super) struct Listing {
    cursor: &'static str,
    since: Option<Millis>,
    news_since: Option<Millis>,
    priority: Priority,
    started_at: Millis,
    /// Rows to begin behind.
    offset: u32,
    /// What it is asked to look at, news or not; none for listings that look at news alone.
    asked: Option<Request>,
}

impl Listing {
    /// The listing of a backfill, from its place on.
    pub(super) fn of_backfill(request: &Request, offset: u32, now: Millis) -> Listing {
        Listing {
            cursor: BACKFILL,
            since: request.since,
            news_since: None,
            priority: Priority::Background,
            started_at: now,
            offset,
            asked: Some(request.clone()),
        }
    }

    /// When it began, by our clock.
    pub(super) fn started_at(&self) -> Millis {
        self.started_at
    }

    /// Whose work it is. A backfill is one run from its beginning to its end, however often it is gone on with.
    pub(super) fn run(&self) -> Run {
        match (&self.asked, self.cursor) {
            (Some(asked), _) => asked.run(),
            (None, SWEEP) => Run { at: self.started_at, kind: RunKind::Sweep },
            (None, _) => Run { at: self.started_at, kind: RunKind::Poll },
        }
    }

    /// True for a row that is to be looked at. `is_news`: it is not known as it is.
    fn wants(&self, updated_at: i64, is_news: impl FnOnce() -> bool) -> bool {
        self.asked.as_ref().map_or_else(is_news, |asked| asked.wants(Millis::from_seconds(updated_at)))
    }
}

impl Bridge {
    pub(super) async fn contacts_loop(&self) {
        self.listing_loop(CONTACTS, &self.parts.timing.poll_contacts).await;
    }

    pub(super) async fn leads_loop(&self) {
        self.listing_loop(LEADS, &self.parts.timing.poll_leads).await;
    }

    /// The first listing is at once: what changed while no daemon ran waits for it.
    async fn listing_loop(&self, cursor: &'static str, line: &str) {
        let mut rechecked_at = self.now();
        self.health.begins(cursor);
        while !self.is_stopping() {
            if self.ground().is_none() {
                self.pause_until(self.now().plus(GROUND_MS)).await;
                continue;
            }
            if self.is_held(cursor) {
                self.health.ends(cursor);
            } else {
                let recheck = !self.now().is_near(rechecked_at, self.parts.timing.recheck_every_ms);
                if self.list_from_cursor(cursor, recheck).await && recheck {
                    rechecked_at = self.now();
                }
            }
            let Some(due) = schedule::next(line, self.now()) else { return };
            self.pause_until(due).await;
        }
    }

    async fn list_from_cursor(&self, cursor: &'static str, recheck: bool) -> bool {
        match self.store().cursor(self.name(), cursor).await {
            Ok(known) => self.list(cursor, known, recheck).await,
            Err(error) => {
                self.store_failed(cursor, &error).await;
                false
            }
        }
    }

    /// One whole listing; true when it was read and recorded to the end.
    pub(super) async fn list(&self, cursor: &'static str, known: Option<Cursor>, recheck: bool) -> bool {
        let Some(ground) = self.ground() else { return false };
        let timing = &self.parts.timing;
        let back_ms = if recheck { timing.overlap_ms.max(timing.recheck_window_ms) } else { timing.overlap_ms };
        let listing = Listing {
            cursor,
            since: known.map(|known| known.at.minus(back_ms)),
            news_since: known.map(|known| known.at.minus(timing.overlap_ms)),
            priority: if known.is_some() { Priority::Poll } else { Priority::Background },
            started_at: self.now(),
            offset: 0,
            asked: None,
        };
        self.health.begins(cursor);
        let done = match cursor {
            LEADS => self.list_leads(&ground, &listing, &mut Swept::default()).await,
            SWEEP => self.sweep(&ground, &listing).await,
            _ => self.list_contacts(&ground, &listing, &mut Swept::default()).await,
        };
        let done = match done {
            Ok(()) => self.went_through(cursor).await.map_err(Stop::Store),
            stopped => stopped,
        };
        match done {
            Ok(()) => {
                self.health.ends(cursor);
                self.worked(cursor);
                true
            }
            Err(Stop::Guard) => {
                self.health.ends(cursor);
                false
            }
            Err(Stop::Fault(fault)) if fault.kind == FaultKind::Interrupted => false,
            Err(Stop::Fault(fault)) => {
                self.troubled(cursor, &fault, "a listing was not read to its end; its cursor stays");
                false
            }
            Err(Stop::Store(error)) => {
                self.store_failed(cursor, &error).await;
                false
            }
        }
    }

    /// A listing stops between two pages; its cursor stays, and what was recorded costs nothing again.
    pub(super) fn go_on(&self) -> Result<(), Fault> {
        if self.is_stopping() { Err(Fault::new(FaultKind::Interrupted, "the daemon stops")) } else { Ok(()) }
    }

    pub(super) async fn list_contacts(
        &self,
        ground: &Ground,
        listing: &Listing,
        swept: &mut Swept,
    ) -> Result<(), Stop> {
        let mut pages = Pages::new(listing);
        while let Some(request) = pages.next_request() {
            self.go_on()?;
            let page = self.parts.amo.contacts(request, listing.priority).await?;
            let Some(page) = pages.accept(page, |contact| contact.id.0)? else { continue };
            self.warn_of_broken(listing.cursor, &page.broken);
            let last = pages.cursor_change(listing, self.now());
            swept.turned(pages.next_request(), page.rows.len(), page.server_time);
            swept.saw_contacts(page.rows.iter().map(|contact| contact.id));
            swept.saw_contacts(page.broken.iter().filter_map(|row| row.id).map(ContactId));
            self.take_contacts(ground, page.rows, listing, last, swept).await?;
            self.estimate(listing.since, swept).await?;
        }
        Ok(())
    }

    pub(super) async fn list_leads(&self, ground: &Ground, listing: &Listing, swept: &mut Swept) -> Result<(), Stop> {
        let mut pages = Pages::new(listing);
        while let Some(request) = pages.next_request() {
            self.go_on()?;
            let page = self.parts.amo.leads(request, listing.priority).await?;
            let Some(page) = pages.accept(page, |lead| lead.id.0)? else { continue };
            self.warn_of_broken(listing.cursor, &page.broken);
            let last = pages.cursor_change(listing, self.now());
            swept.turned(pages.next_request(), page.rows.len(), page.server_time);
            swept.saw_leads(page.rows.iter().map(|lead| lead.id));
            swept.saw_leads(page.broken.iter().filter_map(|row| row.id).map(LeadId));
            self.take_leads(ground, page.rows, listing, last, swept).await?;
            self.estimate(listing.since, swept).await?;
        }
        Ok(())
    }

    fn warn_of_broken(&self, cursor: &str, broken: &[crate::ports::remote::BrokenRow]) {
        for row in broken {
            let id = row.id.map_or_else(|| "without an id".to_owned(), |id| id.to_string());
            tracing::error!(
                bridge = self.name(),
                listing = cursor,
                record.id = row.id,
                "a row cannot be read; the others are taken: {id}: {}",
                row.reason
            );
        }
    }

    /// A page of contacts: those with news are planned, those without a client are looked for in Salebot.
    async fn take_contacts(
        &self,
        ground: &Ground,
        rows: Vec<Contact>,
        listing: &Listing,
        last: Option<Change>,
        swept: &mut Swept,
    ) -> Result<(), Stop> {
        // What is asked for is looked at, known or not.
        let seen = match listing.asked {
            Some(_) => BTreeMap::new(),
            None => self.contacts_seen(&rows).await?,
        };
        let has_news = |contact: &Contact| {
            listing.wants(contact.updated_at, || contact_has_news(ground, contact, seen.get(&contact.id)))
        };
        let news: Vec<Contact> = rows.into_iter().filter(has_news).collect();
        news.iter().for_each(|contact| swept.saw_news(contact.updated_at));
        let mut looked = Looked { marks_failures: true, run: Some(listing.run()), ..Looked::default() };
        self.look_at_contacts_with_news(ground, news, listing.priority, listing.news_since, &mut looked).await?;
        self.finish_page(listing, looked, last, swept).await
    }

    /// Contacts that are not known as they are: planned, and those without a client are looked for in Salebot.
    pub(super) async fn look_at_contacts_with_news(
        &self,
        ground: &Ground,
        news: Vec<Contact>,
        priority: Priority,
        news_since: Option<Millis>,
        looked: &mut Looked,
    ) -> Result<(), Failure> {
        if news.is_empty() {
            return Ok(());
        }
        let ids: Vec<ContactId> = news.iter().map(|contact| contact.id).collect();
        let links = self.store().clients_of(self.name(), &ids).await?;
        let linked: BTreeSet<ContactId> = links.iter().filter_map(|link| link.contact).collect();
        let unlinked: Vec<&Contact> = news.iter().filter(|contact| !linked.contains(&contact.id)).collect();
        let keys = unlinked.iter().map(|contact| (contact.id, ground.contact_keys(contact))).collect();
        let found = self.find_clients(ground, &unlinked, &keys, priority, looked).await?;
        let clients = Clients { links, found, keys };
        Ok(self.look_at_people(ground, news, clients, priority, news_since, looked).await?)
    }

    async fn take_leads(
        &self,
        ground: &Ground,
        rows: Vec<Lead>,
        listing: &Listing,
        last: Option<Change>,
        swept: &mut Swept,
    ) -> Result<(), Stop> {
        let ids: Vec<_> = rows.iter().map(|lead| lead.id).collect();
        let deals = match listing.asked {
            Some(_) => Vec::new(),
            None => self.store().deals(self.name(), &ids).await?,
        };
        let deals: BTreeMap<_, _> = deals.into_iter().map(|deal| (deal.lead, deal)).collect();
        let has_news =
            |lead: &Lead| listing.wants(lead.updated_at, || lead_has_news(ground, lead, deals.get(&lead.id)));
        let news: Vec<Lead> = rows.into_iter().filter(has_news).collect();
        news.iter().for_each(|lead| swept.saw_news(lead.updated_at));
        let mut looked = Looked { marks_failures: true, run: Some(listing.run()), ..Looked::default() };
        if !news.is_empty() {
            self.look_at_deals(ground, news, listing.priority, listing.news_since, &mut looked).await?;
        }
        self.finish_page(listing, looked, last, swept).await
    }

    pub(super) async fn finish_page(
        &self,
        listing: &Listing,
        mut looked: Looked,
        last: Option<Change>,
        swept: &mut Swept,
    ) -> Result<(), Stop> {
        if let Some(fault) = &looked.fault {
            tracing::warn!(
                bridge = self.name(),
                listing = listing.cursor,
                records = looked.put_off.len(),
                "some records could not be read; they are marked and looked at again: {fault}"
            );
        }
        let mut changes: Vec<Change> = last.into_iter().collect();
        if let (None, Some(Change::PutCursor(name @ (CONTACTS | LEADS), cursor))) = (listing.since, changes.first()) {
            let text = cursor.at.0.to_string();
            changes.push(Change::PutText(first_listed(name), text));
        }
        if let Some(backfill) = &mut swept.backfill {
            if backfill.is_dry() {
                self.plan_as_if_linked(&mut looked).await?;
            }
            self.count_sent(backfill.progress());
            changes = backfill.page_changes(&looked);
            if backfill.is_dry() {
                self.commit(changes).await?;
                return self.still_asked(backfill).await;
            }
        }
        let excess = check::blast_radius(&self.parts.policy.guard, tally(&looked.drafts));
        if !self.lets_through(listing.cursor, excess).await? {
            return Err(Stop::Guard);
        }
        self.record(looked.take_drafts(), changes).await?;
        match &swept.backfill {
            Some(backfill) => self.still_asked(backfill).await,
            None => Ok(()),
        }
    }
}

/// True for a contact that is not known as it is. One that is shown in an older state than is known is looked at again.
pub(super) fn contact_has_news(ground: &Ground, contact: &Contact, seen: Option<&ContactSeen>) -> bool {
    seen.is_none_or(|seen| ground.contact_fingerprint(contact) != seen.fingerprint)
}

/// The same for a lead.
pub(super) fn lead_has_news(ground: &Ground, lead: &Lead, deal: Option<&DealLink>) -> bool {
    deal.is_none_or(|deal| ground.lead_fingerprint(lead) != deal.fingerprint)
}

/// Under this name it is kept when everything was listed for the first time: what was made before is no news.
pub(super) fn first_listed(cursor: &str) -> &'static str {
    if cursor == LEADS { "first_listed.leads" } else { "first_listed.contacts" }
}

/// True for what was made so late that its first sight is news.
pub(super) fn is_made_since(created_at: i64, news_since: Option<Millis>) -> bool {
    news_since.is_some_and(|since| created_at >= since.seconds())
}

/// Walks the pages of one listing so that rows moving between two requests are noticed.
struct Pages {
    request: Option<PageRequest>,
    tail: BTreeSet<u64>,
    steps_back: u32,
    server_start: Option<Millis>,
}

impl Pages {
    fn new(listing: &Listing) -> Pages {
        // Rows may have moved up since a listing was left.
        let offset = listing.offset.saturating_sub(STEP_BACK_ROWS);
        let request = PageRequest { since: listing.since, offset, limit: AMO_PAGE_MAX };
        Pages { request: Some(request), tail: BTreeSet::new(), steps_back: 0, server_start: None }
    }

    fn next_request(&self) -> Option<PageRequest> {
        self.request
    }

    /// Takes a page and decides where to go on. None: rows moved up, the place is read again from
    /// further above.
    ///
    /// Pages share rows, so a page without any row has lost the shared ones as well: what stood behind it moved up past it.
    /// Only at the very top an empty page is the end, of an account that has nothing any more.
    fn accept<T>(&mut self, page: Page<T>, id: impl Fn(&T) -> u64) -> Result<Option<Page<T>>, Fault> {
        let Some(request) = self.request else { return Ok(None) };
        if request.offset == 0 {
            self.server_start = page.server_time;
        }
        let overlaps = self.tail.is_empty() || page.rows.iter().any(|row| self.tail.contains(&id(row)));
        let fell_short = page.received == 0 && !self.tail.is_empty() && request.offset > 0;
        if fell_short || (!overlaps && !page.rows.is_empty()) {
            self.steps_back += 1;
            if self.steps_back > STEPS_BACK_MAX || request.offset == 0 {
                return Err(Fault::new(FaultKind::Transient, "the listing changes faster than it can be read"));
            }
            self.request = Some(PageRequest { offset: request.offset.saturating_sub(STEP_BACK_ROWS), ..request });
            return Ok(None);
        }
        self.tail = page.rows.iter().rev().take(SHARED_ROWS as usize).map(&id).collect();
        let is_last = page.received < request.limit;
        let offset = request.offset + page.received.saturating_sub(SHARED_ROWS);
        self.request = (!is_last).then_some(PageRequest { offset, ..request });
        Ok(Some(page))
    }

    /// The moved cursor, once the last page is there: the server's clock when the listing began.
    fn cursor_change(&self, listing: &Listing, now: Millis) -> Option<Change> {
        // A sweep is through with its leads, and says so itself.
        if self.request.is_some() || listing.cursor == SWEEP {
            return None;
        }
        // Without the server's clock ours stands in; the overlap makes up for the difference.
        let at = self.server_start.unwrap_or(listing.started_at).min(listing.started_at.plus(CLOCK_AHEAD_MS));
        Some(Change::PutCursor(listing.cursor, Cursor { at, moved_at: now }))
    }
}

/// A server's clock is believed up to this far ahead of ours.
const CLOCK_AHEAD_MS: i64 = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        Listing {
            cursor: CONTACTS,
            since: None,
            news_since: None,
            priority: Priority::Poll,
            started_at: Millis(0),
            offset: 0,
            asked: None,
        }
    }

    /// Reads `rows` page by page; `shift` changes them between requests.
    fn walk(mut rows: Vec<u64>, mut shift: impl FnMut(u32, &mut Vec<u64>)) -> Result<BTreeSet<u64>, Fault> {
        let mut pages = Pages::new(&listing());
        let mut seen = BTreeSet::new();
        let mut request_number = 0;
        while let Some(request) = pages.next_request() {
            let part: Vec<u64> =
                rows.iter().skip(request.offset as usize).take(request.limit as usize).copied().collect();
            let received = u32::try_from(part.len()).unwrap();
            let page = Page { rows: part, broken: Vec::new(), received, server_time: None };
            if let Some(page) = pages.accept(page, |id| *id)? {
                seen.extend(page.rows);
            }
            request_number += 1;
            shift(request_number, &mut rows);
        }
        Ok(seen)
    }

    #[test]
    fn a_listing_that_stands_still_is_read_whole() {
        for count in [0, 1, 499, 500, 501, 995, 1_000, 1_700] {
            let all: BTreeSet<u64> = (0..count).collect();
            assert_eq!(walk(all.iter().copied().collect(), |_, _| {}).unwrap(), all, "{count} rows");
        }
    }

    #[test]
    fn rows_that_move_up_between_two_pages_are_not_missed() {
        let all: BTreeSet<u64> = (0..1_700).collect();
        let seen = walk(all.iter().copied().collect(), |request, rows| {
            // Thirty rows of the part already read are changed and move to the end, or are deleted.
            if request == 1 {
                rows.drain(10..40);
            }
        })
        .unwrap();
        assert!((40..1_700).all(|id| seen.contains(&id)));
    }

    #[test]
    fn rows_that_move_up_past_the_last_page_are_not_missed() {
        for gone in [5, 20, 300] {
            let seen = walk((0..510).collect(), |request, rows| {
                if request == 1 {
                    rows.drain(0..gone);
                }
            })
            .unwrap();
            assert!((0..510).all(|id| seen.contains(&id)), "{gone} deleted");
        }
    }

    #[test]
    fn an_account_that_is_emptied_meanwhile_comes_to_an_end() {
        let emptied = |after: u32| {
            walk((0..5_000).collect(), |request, rows| {
                if request == after {
                    rows.clear();
                }
            })
        };
        assert_eq!(emptied(1).unwrap().len(), 500);
        assert!(matches!(emptied(9), Err(fault) if fault.kind == FaultKind::Transient), "begun again from the top");
    }

    #[test]
    fn a_page_of_broken_rows_alone_is_no_move() {
        let mut pages = Pages::new(&listing());
        let page = |rows: Vec<u64>, received| Page { rows, broken: Vec::new(), received, server_time: None };
        assert!(pages.accept(page((0..500).collect(), 500), |id| *id).unwrap().is_some());
        assert!(pages.accept(page(Vec::new(), 7), |id| *id).unwrap().is_some());
        assert_eq!(pages.next_request(), None);
    }

    #[test]
    fn a_listing_that_never_stands_still_is_given_up() {
        let result = walk((0..5_000).collect(), |request, rows| {
            let from = u64::from(request) * 1_000_000;
            *rows = (from..from + 5_000).collect();
        });
        assert!(matches!(result, Err(fault) if fault.kind == FaultKind::Transient));
    }
}
