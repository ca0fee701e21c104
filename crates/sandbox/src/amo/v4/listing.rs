//! What all lists share: pages, order, filters, the search, the envelope.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{list_of, self_link};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::options::v4::{Filters, NextLinks};
use crate::amo::search::Needle;
use crate::amo::state::patch::RecordKind;
use crate::amo::state::table::{Carded, Order, Row, Table};
use crate::http::Response;

/// The most rows of a page.
const MAX_ROWS: usize = 250;
/// Rows of a page when `limit` is not sent.
const DEFAULT_ROWS: usize = 50;

/// One page of a list.
pub(super) struct Sheet {
    page: usize,
    rows: usize,
}

impl Sheet {
    /// A limit above the largest is not honoured.
    pub(super) fn of(call: &Call, max_rows: usize) -> Self {
        let number =
            |name: &str| call.request.param(name).and_then(|value| value.parse().ok()).filter(|n: &usize| *n > 0);
        let rows = number("limit").unwrap_or(DEFAULT_ROWS).min(max_rows);
        Sheet { page: number("page").unwrap_or(1), rows }
    }

    /// The answer with this page of the items, which are made into JSON only where they are on it.
    pub(super) fn answer<T>(
        &self,
        call: &Call,
        list: &str,
        items: impl Iterator<Item = T>,
        into_json: impl FnMut(T) -> Value,
    ) -> Response {
        let mut rest = items.skip((self.page - 1) * self.rows);
        let items: Vec<Value> = rest.by_ref().take(self.rows).map(into_json).collect();
        if items.is_empty() {
            return answer::empty(call, 204);
        }
        let goes_on = rest.next().is_some();
        let mut body = json!({ "_page": self.page, "_embedded": { list: items } });
        if call.options.v4.next == NextLinks::Told {
            body["_links"] = self_link(&call.request.path);
            if goes_on {
                body["_links"]["next"] = self_link(&self.address(call))["self"].clone();
            }
        }
        answer::json(call, 200, &body)
    }

    fn address(&self, call: &Call) -> String {
        let others = call.request.query.iter().filter(|(name, _)| name != "page");
        let pairs: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}?{}&page={}", call.request.path, pairs.join("&"), self.page + 1)
    }
}

/// A page of at most as many rows as usual.
pub(super) fn sheet(call: &Call) -> Sheet {
    Sheet::of(call, MAX_ROWS)
}

/// The order asked for; that of creation is that of ids here.
pub(super) fn order(call: &Call) -> Order {
    let is_descending = |name: &str| call.request.param(name).map(|way| way.eq_ignore_ascii_case("desc"));
    let by_id = || is_descending("order[id]").or_else(|| is_descending("order[created_at]"));
    match (is_descending("order[updated_at]"), by_id()) {
        _ if !call.options.v4.keeps_order => Order::Own,
        (Some(true), _) => Order::UpdatedDescending,
        (Some(false), _) => Order::Updated,
        (None, Some(true)) => Order::IdDescending,
        (None, Some(false)) => Order::Id,
        (None, None) => Order::Own,
    }
}

/// Numbers of a filter; `None` when it was not sent.
pub(super) fn filter_ids(call: &Call, name: &str) -> Option<BTreeSet<u64>> {
    let name = format!("filter[{name}]");
    let mut values = call.list(&name).peekable();
    values.peek()?;
    Some(values.flat_map(|value| value.split(',')).filter_map(|id| id.trim().parse().ok()).collect())
}

/// Texts of a filter; `None` when it was not sent.
pub(super) fn filter_texts(call: &Call, name: &str) -> Option<BTreeSet<String>> {
    let name = format!("filter[{name}]");
    let mut values = call.list(&name).peekable();
    values.peek()?;
    Some(values.map(str::to_owned).collect())
}

/// Whether a value is among those asked for; all are when nothing was asked for.
pub(super) fn is_asked<T: Ord>(asked: Option<&BTreeSet<T>>, value: &T) -> bool {
    asked.is_none_or(|asked| asked.contains(value))
}

/// A span of time, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    from: i64,
    to: i64,
    is_sent: bool,
}

impl Span {
    /// Reads `filter[name][from]` and `[to]`; a single value means what `single` makes of it.
    pub(super) fn of(call: &Call, name: &str, single: impl Fn(i64) -> (i64, i64)) -> Self {
        let moment = |key: String| call.request.param(&key).and_then(|value| value.parse().ok());
        if let Some(at) = moment(format!("filter[{name}]")) {
            let (from, to) = single(at);
            return Span { from, to, is_sent: true };
        }
        let (from, to) = (moment(format!("filter[{name}][from]")), moment(format!("filter[{name}][to]")));
        let is_sent = from.is_some() || to.is_some();
        Span { from: from.unwrap_or(i64::MIN), to: to.unwrap_or(i64::MAX), is_sent }
    }

    pub(super) fn contains(&self, unix_s: i64) -> bool {
        (self.from..=self.to).contains(&unix_s)
    }
}

/// The filters of contacts, leads and companies, where filters are heeded, and the search, which always is.
pub(super) struct CardFilter {
    ids: Option<BTreeSet<u64>>,
    responsible: Option<BTreeSet<u64>>,
    updated: Span,
    needle: Option<Needle>,
    is_by_change: bool,
}

impl CardFilter {
    pub(super) fn of(call: &Call) -> Self {
        let heeded = call.options.v4.filters == Filters::Heeded;
        let ids = |name: &str| if heeded { filter_ids(call, name) } else { None };
        let everything = Span { from: i64::MIN, to: i64::MAX, is_sent: false };
        let updated = if heeded { Span::of(call, "updated_at", |at| (at, at)) } else { everything };
        let query = call.request.param("query").map(str::trim).filter(|query| !query.is_empty());
        let ignores_format = call.options.listing.search_ignores_phone_format;
        CardFilter {
            ids: ids("id"),
            responsible: ids("responsible_user_id"),
            is_by_change: updated.is_sent || call.request.param("order[updated_at]").is_some(),
            updated,
            needle: query.map(|query| Needle::new(query, ignores_format)),
        }
    }

    pub(super) fn keeps<T: Row + Carded>(&self, call: &Call, table: &Table<T>, row: &T) -> bool {
        let is_late = || row.changed_at_ms() + call.options.listing.visible_after_ms > call.now_ms;
        is_asked(self.ids.as_ref(), &row.id())
            && is_asked(self.responsible.as_ref(), &row.card().responsible_user_id)
            && self.updated.contains(row.updated_at())
            && !(self.is_by_change && is_late())
            && self
                .needle
                .as_ref()
                .is_none_or(|needle| table.is_found(row, call.now_ms, &mut |text| needle.is_in(text)))
    }
}

/// The answer to a write: the items under the name of their kind.
pub(super) fn written(call: &Call, list: &str, items: Vec<Value>) -> Response {
    let mut lists = Map::new();
    lists.insert(list.to_owned(), items.into());
    answer::json(call, 200, &json!({ "_links": self_link(&call.request.path), "_embedded": lists }))
}

/// The address of a record.
pub(super) fn address(kind: RecordKind, id: u64) -> String {
    format!("/api/v4/{}/{id}", list_of(kind))
}
