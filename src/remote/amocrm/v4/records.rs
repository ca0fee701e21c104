//! Contacts, leads and companies: listed, searched, read by id.

use super::AmoV4;
use super::account::Filters;
use super::map::{Entity, Filed};
use super::window::{ROWS, Window};
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::remote::{AMO_PAGE_MAX, Page, PageRequest, Priority};
use crate::remote::amocrm::fault;
use crate::remote::amocrm::page::{self, Rows};
use crate::remote::http::{Call, RawAnswer};
use std::collections::BTreeSet;

/// Most ids in one filter, so that the address stays short of 8 KiB.
const IDS_MAX: usize = 100;
/// Pages of a search: candidates beyond a thousand mean that the text tells nobody apart.
const SEARCH_PAGES_MAX: u32 = 4;

/// The query of a page.
pub(super) fn page_query(number: u32) -> Vec<(String, String)> {
    vec![("limit".to_owned(), ROWS.to_string()), ("page".to_owned(), number.to_string())]
}

fn entity_query<E: Entity>(number: u32) -> Vec<(String, String)> {
    let mut query = page_query(number);
    query.extend(E::WITH.map(|with| ("with".to_owned(), with.to_owned())));
    query
}

/// The query of a page of a listing. Changes come latest first, so that reading can stop at the first that is too old,
/// whether or not a filter leaves those out; everything comes by id, an order that changes leave alone.
fn listing_query<E: Entity>(number: u32, since: Option<Millis>, filters: Filters) -> Vec<(String, String)> {
    let mut query = entity_query::<E>(number);
    match since {
        Some(since) => {
            query.push(("order[updated_at]".to_owned(), "desc".to_owned()));
            if filters == Filters::Work {
                // A single value would mean "exactly then" (v4 filters page).
                query.push(("filter[updated_at][from]".to_owned(), since.seconds().to_string()));
            }
        }
        None => query.push(("order[id]".to_owned(), "asc".to_owned())),
    }
    query
}

impl AmoV4 {
    /// The rows of a listing from an offset on.
    pub(super) async fn listing<E: Entity>(&self, request: PageRequest, priority: Priority) -> Result<Page<E>, Fault> {
        let request = PageRequest { limit: request.limit.clamp(1, AMO_PAGE_MAX), ..request };
        let filters = match request.since {
            Some(_) => self.known(priority).await?.filters,
            None => Filters::Off,
        };
        let mut window = Window::new(request);
        let mut number = window.first_page();
        loop {
            let query = listing_query::<E>(number, request.since, filters);
            let answer = self.get(E::PATH, query, priority).await?;
            window.take(number, self.rows(&answer, priority).await?);
            if window.is_covered(number) {
                break;
            }
            number += 1;
        }
        if filters == Filters::Work && window.met_older() {
            self.filters_were_ignored();
        }
        Ok(window.into_page())
    }

    /// The rows of an answer.
    pub(super) async fn rows<E: Entity>(
        &self,
        answer: &RawAnswer,
        priority: Priority,
    ) -> Result<Rows<Filed<E>>, Fault> {
        let mut rows = page::rows::<E::Wire>(answer, E::LIST)?;
        let has_dates = rows.rows.iter().flatten().any(|filed| !filed.dates.is_empty());
        let zone = self.zone(has_dates, priority).await?;
        rows.rows.iter_mut().flatten().for_each(|filed| filed.tell_dates(&zone));
        Ok(rows)
    }

    /// Records in which a text occurs.
    pub(super) async fn search<E: Entity>(
        &self,
        text: &str,
        with: Option<&str>,
        priority: Priority,
    ) -> Result<Page<Filed<E>>, Fault> {
        let mut pages = Vec::new();
        for number in 1..=SEARCH_PAGES_MAX {
            let mut query = page_query(number);
            query.extend(with.map(|with| ("with".to_owned(), with.to_owned())));
            query.push(("query".to_owned(), text.to_owned()));
            let answer = self.get(E::PATH, query, priority).await?;
            let rows = self.rows::<E>(&answer, priority).await?;
            let goes_on = rows.goes_on(ROWS);
            pages.push(rows.into_page());
            if !goes_on {
                break;
            }
        }
        Ok(page::join(pages))
    }

    /// Records by id. Where filters work they come in one answer, and those it lacks are asked for one by one: a
    /// listing may not know of a record that was just made, and one that is said to be gone is unlinked.
    pub(super) async fn by_id<E: Entity>(&self, ids: &BTreeSet<u64>, priority: Priority) -> Result<Page<E>, Fault> {
        let found = self.filtered::<E>(ids, priority).await?;
        let seen: BTreeSet<u64> = found.rows.iter().map(|filed| filed.id).collect();
        let broken: BTreeSet<u64> = found.broken.iter().filter_map(|row| row.id).collect();
        let mut pages = vec![found];
        for id in ids.iter().filter(|id| !seen.contains(id) && !broken.contains(id)) {
            pages.push(self.single::<E>(*id, priority).await?);
        }
        let found = page::join(pages);
        let rows: Vec<E> = found.rows.into_iter().filter_map(|filed| filed.record).collect();
        Ok(Page { rows, broken: found.broken, received: found.received, server_time: found.server_time })
    }

    /// What a filter by ids brings; nothing where filters do not work.
    pub(super) async fn filtered<E: Entity>(
        &self,
        ids: &BTreeSet<u64>,
        priority: Priority,
    ) -> Result<Page<Filed<E>>, Fault> {
        let mut pages = Vec::new();
        // A single record is asked for by its address.
        if ids.len() < 2 {
            return Ok(page::empty());
        }
        let all: Vec<u64> = ids.iter().copied().collect();
        for chunk in all.chunks(IDS_MAX) {
            if matches!(self.known(priority).await?.filters, Filters::Off | Filters::Belied) {
                break;
            }
            let mut query = entity_query::<E>(1);
            query.extend(chunk.iter().map(|id| ("filter[id][]".to_owned(), id.to_string())));
            let answer = self.get(E::PATH, query, priority).await?;
            let mut page = self.rows::<E>(&answer, priority).await?.into_page();
            if page.rows.iter().any(|filed| !ids.contains(&filed.id)) {
                self.filters_were_ignored();
            }
            let mut left: BTreeSet<u64> = chunk.iter().copied().collect();
            page.rows.retain(|filed| left.remove(&filed.id));
            page.broken.retain(|row| row.id.is_some_and(|id| left.remove(&id)));
            pages.push(page);
        }
        Ok(page::join(pages))
    }

    async fn single<E: Entity>(&self, id: u64, priority: Priority) -> Result<Page<Filed<E>>, Fault> {
        let query = E::WITH.map(|with| ("with".to_owned(), with.to_owned())).into_iter().collect();
        let path = format!("{}/{id}", E::PATH);
        let Some(answer) = self.get_if_there(path, E::SINGLE, query, priority).await? else { return Ok(page::empty()) };
        let mut page = page::empty();
        match page::single::<E::Wire>(&answer)? {
            Some(Ok(mut filed)) if filed.id == id => {
                filed.tell_dates(&self.zone(!filed.dates.is_empty(), priority).await?);
                page.rows.push(filed);
            }
            Some(Ok(_)) => return Err(Fault::new(FaultKind::Broken, "another record came than was asked for")),
            Some(Err(broken)) => page.broken.push(broken),
            None => {}
        }
        page.received = 1;
        page.server_time = page::server_time(&answer);
        Ok(page)
    }

    /// Sends a read of something below a record. None where the service says in its own words that it is not there:
    /// documented is 204, and a page of a proxy would be another host's.
    pub(super) async fn get_if_there(
        &self,
        path: String,
        route: &'static str,
        query: Vec<(String, String)>,
        priority: Priority,
    ) -> Result<Option<RawAnswer>, Fault> {
        let answer = self.sender.call(Call { query, ..Call::get(path, route, priority) }).await?;
        if answer.status == 404 && answer.looks_like_json() {
            return Ok(None);
        }
        match fault::fault(&answer, true, self.sender.now()) {
            Some(fault) => Err(fault),
            None => Ok(Some(answer)),
        }
    }
}
