//! What all listings share: ids, pages, the moment since, the search, and the answer when there is nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Call, answer, since};
use crate::amo::options::{Boundary, NothingFound};
use crate::amo::search::Needle;
use crate::amo::state::records::Card;
use crate::amo::state::table::{Carded, Row, Table};
use crate::http::Response;

/// The parameters common to all listings.
#[derive(Debug)]
pub(super) struct Query {
    /// Given ids switch off every other parameter.
    pub(super) ids: Option<BTreeSet<u64>>,
    /// The first second of `updated_at` that is listed.
    pub(super) from_updated_at: Option<i64>,
    rows: usize,
    offset: usize,
}

impl Query {
    /// Reads them; what cannot be read counts as not sent.
    pub(super) fn of(call: &Call) -> Self {
        let listing = &call.options.listing;
        let sent_rows = call.request.param("limit_rows").and_then(|rows| rows.parse().ok());
        let rows = sent_rows.filter(|&rows: &usize| rows > 0);
        let offset = call.request.param("limit_offset").and_then(|offset| offset.parse().ok());
        Query {
            ids: id_params(call, "id"),
            from_updated_at: from_updated_at(call),
            rows: rows.unwrap_or(listing.default_page_rows).min(listing.max_page_rows),
            // "Works only on condition that limit_rows is given too" (contacts page).
            offset: rows.and(offset).unwrap_or(0),
        }
    }

    /// The page's rows among these, which are in listing order.
    pub(super) fn page<'t, T: 't>(&self, rows: impl Iterator<Item = &'t T>) -> Vec<&'t T> {
        rows.skip(self.offset).take(self.rows).collect()
    }

    /// The rows of one page of a table.
    pub(super) fn select<'t, T: Row>(&self, call: &Call, table: &'t Table<T>, keep: impl Fn(&T) -> bool) -> Vec<&'t T> {
        if let Some(ids) = &self.ids {
            return self.select_ids(call, table, ids);
        }
        let rows = table.walk(self.from_updated_at);
        self.page(rows.filter(|row| self.is_visible(call, *row) && keep(row)))
    }

    fn select_ids<'t, T: Row>(&self, call: &Call, table: &'t Table<T>, ids: &BTreeSet<u64>) -> Vec<&'t T> {
        let since = self.from_updated_at.filter(|_| call.options.listing.since_applies_to_ids);
        let mut rows = table.pick(ids);
        rows.retain(|row| since.is_none_or(|from| row.updated_at() >= from));
        rows.truncate(call.options.listing.max_page_rows);
        rows
    }

    /// True if the listing already knows of the row's last change and it is late enough.
    pub(super) fn is_visible<T: Row>(&self, call: &Call, row: &T) -> bool {
        self.from_updated_at.is_none_or(|from| {
            row.updated_at() >= from && row.changed_at_ms() + call.options.listing.visible_after_ms <= call.now_ms
        })
    }

    /// The answer with these items, or the one for nothing.
    pub(super) fn answer(&self, call: &Call, items: Vec<Value>) -> Response {
        if !items.is_empty() {
            return with_items(call, items);
        }
        if self.ids.is_some() {
            return answer::empty(call, 204);
        }
        match call.options.listing.nothing_found {
            NothingFound::NotModified if self.from_updated_at.is_some() => answer::empty(call, 304),
            NothingFound::NoContent | NothingFound::NotModified => answer::empty(call, 204),
            NothingFound::EmptyBody => answer::empty(call, 200),
            NothingFound::EmptyItems => with_items(call, items),
        }
    }
}

fn with_items(call: &Call, items: Vec<Value>) -> Response {
    let body = json!({
        "_links": answer::links(&own_href(call), "get"),
        "_embedded": { "items": items },
    });
    answer::json(call, 200, &body)
}

fn own_href(call: &Call) -> String {
    let path = call.request.path.trim_end_matches('/');
    let pairs: Vec<String> = call.request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn from_updated_at(call: &Call) -> Option<i64> {
    let moment = since::moment(call.request.header("if-modified-since")?)?;
    match call.options.listing.since_boundary {
        Boundary::Later => Some(moment + 1),
        Boundary::SameOrLater => Some(moment),
    }
}

/// The numbers of the parameter `name`, `name[]` or `name[0]`; `None` when it was not sent at all.
pub(super) fn id_params(call: &Call, name: &str) -> Option<BTreeSet<u64>> {
    let mut values = call.list(name).peekable();
    values.peek()?;
    Some(values.flat_map(|value| value.split(',')).filter_map(|id| id.trim().parse().ok()).collect())
}

/// Whether a value is among those asked for; all are when nothing was asked for.
pub(super) fn is_asked_for(asked: Option<&BTreeSet<u64>>, value: u64) -> bool {
    asked.is_none_or(|asked| asked.contains(&value))
}

/// The filters of contacts, leads and companies: the user in charge and the search.
pub(super) struct CardFilter {
    responsible: Option<BTreeSet<u64>>,
    needle: Option<Needle>,
}

impl CardFilter {
    pub(super) fn of(call: &Call) -> Self {
        let sent = call.request.param("query").map(str::trim).filter(|query| !query.is_empty());
        let ignores_format = call.options.listing.search_ignores_phone_format;
        CardFilter {
            responsible: id_params(call, "responsible_user_id"),
            needle: sent.map(|query| Needle::new(query, ignores_format)),
        }
    }

    pub(super) fn keeps<T: Row + Carded>(&self, call: &Call, table: &Table<T>, row: &T) -> bool {
        let card: &Card = row.card();
        is_asked_for(self.responsible.as_ref(), card.responsible_user_id)
            && self
                .needle
                .as_ref()
                .is_none_or(|needle| table.is_found(row, call.now_ms, &mut |text| needle.is_in(text)))
    }
}
