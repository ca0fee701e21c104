//! Rows by id with the orders a listing needs, so that a page never sorts or copies the whole table.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::records::{Card, Company, Contact, Lead, Note, Task};
use crate::amo::options::RowOrder;

/// Old texts kept per row for a search index that lags behind; more changes than that within the
/// delay make the index a little fresher than asked for.
const MAX_STALE_TEXTS: usize = 16;

/// A row of a table.
pub(in crate::amo) trait Row {
    /// Its number.
    fn id(&self) -> u64;
    /// Last change as the API tells it, in Unix seconds.
    fn updated_at(&self) -> i64;
    /// Last change by the clock of this service.
    fn changed_at_ms(&self) -> i64;
    /// True if any text that a search looks at passes the test.
    fn any_text(&self, test: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// An order of rows that a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::amo) enum Order {
    /// That of listings without a wish.
    Own,
    /// By id.
    Id,
    /// By id, the highest first.
    IdDescending,
    /// Longest unchanged first.
    Updated,
    /// Latest change first.
    UpdatedDescending,
}

/// What the search index still believes of a row, until it catches up.
#[derive(Debug)]
struct StaleTexts {
    until_ms: i64,
    texts: Vec<String>,
}

/// Rows of one kind.
#[derive(Debug)]
pub(in crate::amo) struct Table<T> {
    rows: BTreeMap<u64, T>,
    trash: BTreeMap<u64, T>,
    by_update: BTreeSet<(i64, u64)>,
    shuffled: BTreeSet<(u64, u64)>,
    order: RowOrder,
    search_delay_ms: i64,
    stale: BTreeMap<u64, VecDeque<StaleTexts>>,
}

impl<T: Row> Table<T> {
    /// An empty table whose listings come in this order.
    pub(in crate::amo) fn new(order: RowOrder, search_delay_ms: i64) -> Self {
        Table {
            rows: BTreeMap::new(),
            trash: BTreeMap::new(),
            by_update: BTreeSet::new(),
            shuffled: BTreeSet::new(),
            order,
            search_delay_ms,
            stale: BTreeMap::new(),
        }
    }

    pub(in crate::amo) fn get(&self, id: u64) -> Option<&T> {
        self.rows.get(&id)
    }

    pub(in crate::amo) fn contains(&self, id: u64) -> bool {
        self.rows.contains_key(&id)
    }

    pub(in crate::amo) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows by id.
    pub(in crate::amo) fn rows(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    /// Deleted rows by id.
    pub(in crate::amo) fn trash(&self) -> impl Iterator<Item = &T> {
        self.trash.values()
    }

    /// A deleted row.
    pub(in crate::amo) fn get_deleted(&self, id: u64) -> Option<&T> {
        self.trash.get(&id)
    }

    /// Adds a row under a new id.
    pub(in crate::amo) fn insert(&mut self, row: T, now_ms: i64) {
        self.remember_stale(row.id(), Vec::new(), now_ms);
        self.add_to_orders(row.id(), row.updated_at());
        self.rows.insert(row.id(), row);
    }

    /// Changes a row in place; `None` when there is no such row.
    pub(in crate::amo) fn change<R>(&mut self, id: u64, now_ms: i64, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.search_delay_ms > 0 {
            let texts = self.rows.get(&id).map(texts_of)?;
            self.remember_stale(id, texts, now_ms);
        }
        let row = self.rows.get_mut(&id)?;
        let before = row.updated_at();
        let result = change(row);
        let after = row.updated_at();
        if before != after {
            self.by_update.remove(&(before, id));
            self.by_update.insert((after, id));
        }
        Some(result)
    }

    /// Takes a row out for good.
    pub(in crate::amo) fn remove(&mut self, id: u64) -> Option<T> {
        let row = self.rows.remove(&id)?;
        self.by_update.remove(&(row.updated_at(), id));
        if let RowOrder::Shuffled(seed) = self.order {
            self.shuffled.remove(&(mixed(id, seed), id));
        }
        self.stale.remove(&id);
        Some(row)
    }

    /// Puts a removed row into the trash.
    pub(in crate::amo) fn bury(&mut self, row: T) {
        self.trash.insert(row.id(), row);
    }

    /// Takes a row out of the trash.
    pub(in crate::amo) fn unbury(&mut self, id: u64) -> Option<T> {
        self.trash.remove(&id)
    }

    /// Rows changed at `from_updated_at` or later, in the order of listings.
    pub(in crate::amo) fn walk(&self, from_updated_at: Option<i64>) -> Box<dyn Iterator<Item = &T> + '_> {
        let from = from_updated_at.unwrap_or(i64::MIN);
        let changed = self.by_update.range((from, 0)..).map(|&(_, id)| id);
        match self.order {
            RowOrder::UpdatedAscending => Box::new(changed.filter_map(|id| self.rows.get(&id))),
            RowOrder::UpdatedDescending => Box::new(changed.rev().filter_map(|id| self.rows.get(&id))),
            RowOrder::Id | RowOrder::Shuffled(_) => match from_updated_at.and_then(|_| self.few_changed(changed)) {
                Some(ids) => Box::new(ids.into_iter().filter_map(|id| self.rows.get(&id))),
                None => Box::new(self.in_order().filter(move |row| row.updated_at() >= from)),
            },
        }
    }

    /// All rows in an order that was asked for.
    pub(in crate::amo) fn ordered(&self, order: Order) -> Box<dyn Iterator<Item = &T> + '_> {
        let by_update = self.by_update.iter().filter_map(|(_, id)| self.rows.get(id));
        match order {
            Order::Own => self.walk(None),
            Order::Id => Box::new(self.rows.values()),
            Order::IdDescending => Box::new(self.rows.values().rev()),
            Order::Updated => Box::new(by_update),
            Order::UpdatedDescending => Box::new(by_update.rev()),
        }
    }

    /// The rows with these ids, once each, in the order of listings.
    pub(in crate::amo) fn pick(&self, ids: &BTreeSet<u64>) -> Vec<&T> {
        let mut rows: Vec<&T> = ids.iter().filter_map(|id| self.rows.get(id)).collect();
        rows.sort_by_key(|row| self.place(row));
        rows
    }

    /// True if the search index finds the row at that moment.
    pub(in crate::amo) fn is_found(&self, row: &T, now_ms: i64, test: &mut dyn FnMut(&str) -> bool) -> bool {
        let stale = self.stale.get(&row.id());
        match stale.and_then(|texts| texts.iter().find(|text| text.until_ms > now_ms)) {
            Some(old) => old.texts.iter().any(|text| test(text)),
            None => row.any_text(test),
        }
    }

    fn in_order(&self) -> Box<dyn Iterator<Item = &T> + '_> {
        match self.order {
            RowOrder::Shuffled(_) => Box::new(self.shuffled.iter().filter_map(|(_, id)| self.rows.get(id))),
            _ => Box::new(self.rows.values()),
        }
    }

    /// The ids in listing order, if they are few enough for sorting to beat a scan of the table.
    fn few_changed(&self, changed: impl Iterator<Item = u64>) -> Option<Vec<u64>> {
        let bound = self.rows.len() / 8 + 16;
        let mut ids: Vec<u64> = changed.take(bound + 1).collect();
        if ids.len() > bound {
            return None;
        }
        match self.order {
            RowOrder::Shuffled(seed) => ids.sort_by_key(|&id| (mixed(id, seed), id)),
            _ => ids.sort_unstable(),
        }
        Some(ids)
    }

    fn place(&self, row: &T) -> (i128, u64) {
        match self.order {
            RowOrder::Id => (0, row.id()),
            RowOrder::UpdatedAscending => (i128::from(row.updated_at()), row.id()),
            RowOrder::UpdatedDescending => (-i128::from(row.updated_at()), u64::MAX - row.id()),
            RowOrder::Shuffled(seed) => (i128::from(mixed(row.id(), seed)), row.id()),
        }
    }

    fn add_to_orders(&mut self, id: u64, updated_at: i64) {
        self.by_update.insert((updated_at, id));
        if let RowOrder::Shuffled(seed) = self.order {
            self.shuffled.insert((mixed(id, seed), id));
        }
    }

    fn remember_stale(&mut self, id: u64, texts: Vec<String>, now_ms: i64) {
        if self.search_delay_ms <= 0 {
            return;
        }
        let known = self.stale.entry(id).or_default();
        known.retain(|old| old.until_ms > now_ms);
        if known.len() < MAX_STALE_TEXTS {
            known.push_back(StaleTexts { until_ms: now_ms + self.search_delay_ms, texts });
        }
    }
}

fn texts_of<T: Row>(row: &T) -> Vec<String> {
    let mut texts = Vec::new();
    row.any_text(&mut |text| {
        texts.push(text.to_owned());
        false
    });
    texts
}

/// A number without visible relation to the id: a finaliser of a 64-bit hash.
fn mixed(id: u64, seed: u64) -> u64 {
    let mut bits = id ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

fn any_text_of_card(card: &Card, test: &mut dyn FnMut(&str) -> bool) -> bool {
    test(&card.name)
        || card.fields.values().flatten().any(|value| test(&value.value))
        || card.tags.iter().any(|tag| test(&tag.name))
}

/// A record built around a [`Card`].
pub(in crate::amo) trait Carded {
    fn card(&self) -> &Card;
    fn card_mut(&mut self) -> &mut Card;
}

macro_rules! carded_row {
    ($($record:ty),*) => {$(
        impl Carded for $record {
            fn card(&self) -> &Card {
                &self.card
            }
            fn card_mut(&mut self) -> &mut Card {
                &mut self.card
            }
        }

        impl Row for $record {
            fn id(&self) -> u64 {
                self.card.id
            }
            fn updated_at(&self) -> i64 {
                self.card.updated_at
            }
            fn changed_at_ms(&self) -> i64 {
                self.card.changed_at_ms
            }
            fn any_text(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
                any_text_of_card(&self.card, test)
            }
        }
    )*};
}

macro_rules! plain_row {
    ($($record:ty),*) => {$(
        impl Row for $record {
            fn id(&self) -> u64 {
                self.id
            }
            fn updated_at(&self) -> i64 {
                self.updated_at
            }
            fn changed_at_ms(&self) -> i64 {
                self.changed_at_ms
            }
            fn any_text(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
                test(&self.text)
            }
        }
    )*};
}

carded_row!(Contact, Lead, Company);
plain_row!(Note, Task);
