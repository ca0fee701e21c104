//! The verdict: what both services hold at the end, compared with what people and managers did.
//!
//! It is computed from the services themselves. Only the last rows ask the daemon.

mod notes;
mod people;
mod values;

use crate::sandbox::amo::Amo;
use crate::sandbox::salebot::Salebot;
use crate::sandbox::town::{Cast, Said, Town};
use comfy_table::{Table, presets};
use std::collections::{BTreeMap, BTreeSet};

/// One promise and whether it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    what: &'static str,
    expected: String,
    found: String,
    is_good: bool,
}

impl Row {
    /// What was promised.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// What is there instead.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// The promise was kept.
    pub fn is_good(&self) -> bool {
        self.is_good
    }

    /// Two numbers that must be equal.
    pub fn equal(what: &'static str, expected: usize, found: usize) -> Row {
        Row { what, expected: expected.to_string(), found: found.to_string(), is_good: expected == found }
    }

    /// Something there must be none of; `first` names the first one found.
    pub fn none(what: &'static str, found: &[String]) -> Row {
        let text = match found.split_first() {
            None => "0".to_owned(),
            Some((first, _)) => format!("{}: {first}", found.len()),
        };
        Row { what, expected: "0".to_owned(), found: text, is_good: found.is_empty() }
    }

    /// A limit that must not be passed.
    pub fn at_most(what: &'static str, limit: usize, found: usize) -> Row {
        Row { what, expected: format!("≤ {limit}"), found: found.to_string(), is_good: found <= limit }
    }

    /// All of so many, less those that are wrong.
    pub fn all(what: &'static str, count: usize, wrong: &[String]) -> Row {
        let good = count.saturating_sub(wrong.len());
        let found = wrong.first().map_or_else(|| good.to_string(), |first| format!("{good}: {first}"));
        Row { what, expected: count.to_string(), found, is_good: wrong.is_empty() }
    }
}

/// The one promise that needs somebody to write first.
pub(super) const DELIVERED: &str = "webhooks delivered once";

/// All promises.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    rows: Vec<Row>,
}

impl Verdict {
    /// What holds as soon as both sides have settled: messages, people, values, limits.
    pub fn of_town(town: &Town, triggered: &[u64]) -> Verdict {
        let (entered, groups, said) = (town.entered(), town.groups(), town.said());
        let deliveries = (town.deliveries(), town.delivery_log());
        let mut rows = town.look(|amo, salebot| {
            let mut truth = Truth {
                amo,
                salebot,
                cast: town.cast(),
                entered: &entered,
                groups: &groups,
                said: &said,
                triggered,
                linked: BTreeMap::new(),
            };
            truth.linked = truth.link();
            [notes::rows(&truth), people::rows(&truth), values::rows(&truth), limits(amo)].concat()
        });
        let (counts, log) = deliveries;
        let distinct: BTreeSet<i64> = log.iter().map(|outcome| outcome.id).collect();
        let lost = counts.refused + counts.failed + counts.abandoned;
        let twice = log.len() - distinct.len();
        let is_good = lost == 0 && twice == 0 && counts.delivered > 0;
        rows.push(Row {
            what: DELIVERED,
            expected: counts.delivered.max(1).to_string(),
            found: if is_good { counts.delivered.to_string() } else { format!("{} lost, {twice} twice", lost) },
            is_good,
        });
        Verdict { rows }
    }

    /// Adds what was found out besides.
    pub fn with(mut self, rows: impl IntoIterator<Item = Row>) -> Verdict {
        self.rows.extend(rows);
        self
    }

    /// Every promise was kept.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.is_good)
    }

    /// Promises that are not kept, or not yet.
    pub fn broken(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| !row.is_good).collect()
    }

    /// For people to read.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["", "promise", "expected", "found"]);
        for row in &self.rows {
            let mark = if row.is_good { "✓" } else { "✗" };
            table.add_row([mark, row.what, &row.expected, &row.found]);
        }
        let verdict = if self.holds() { "Every promise was kept." } else { "Not every promise was kept." };
        format!("{table}\n\n{verdict}")
    }
}

/// Everything a row may look at.
struct Truth<'a> {
    amo: &'a Amo,
    salebot: &'a Salebot,
    cast: &'a Cast,
    entered: &'a BTreeMap<i64, usize>,
    groups: &'a [i64],
    said: &'a [Said],
    /// Leads that were moved to the trigger's stage.
    triggered: &'a [u64],
    /// The contact of each client of a person who has a contact at all.
    linked: BTreeMap<i64, u64>,
}

impl Truth<'_> {
    /// The contacts a person has: the one that managers entered, else those that were made with
    /// the person's phone, or, for a person without, with the name.
    fn contacts_of(&self, person: usize) -> Vec<u64> {
        let Some(person) = self.cast.people.get(person) else { return Vec::new() };
        let by_phone = person.phone.as_deref().map(people::national);
        let is_theirs = |id: u64| {
            let Some(contact) = self.amo.contact(id) else { return false };
            match (&person.contact, &by_phone) {
                (Some(known), None) => *known == id,
                (Some(known), Some(phone)) => *known == id || people::phones(contact).contains(phone),
                (None, Some(phone)) => people::phones(contact).contains(phone),
                (None, None) => contact.card.name == person.name,
            }
        };
        self.amo.contacts().map(|contact| contact.card.id).filter(|id| is_theirs(*id)).collect()
    }

    /// People who have written, or been written to.
    fn writers(&self) -> BTreeSet<usize> {
        self.said.iter().filter_map(|said| self.entered.get(&said.client).copied()).collect()
    }

    fn link(&self) -> BTreeMap<i64, u64> {
        let of = |(client, person): (&i64, &usize)| Some((*client, *self.contacts_of(*person).first()?));
        self.entered.iter().filter_map(of).collect()
    }
}

/// amoCRM's limits, by its own count. Faults of the demo are no answers of amoCRM.
fn limits(amo: &Amo) -> Vec<Row> {
    let statistics = amo.statistics();
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    vec![
        Row::at_most("requests to amoCRM in any second", 7, statistics.peak_per_second),
        Row::equal("answers 429 besides the injected ones", 0, count(statistics.too_many())),
        Row::equal("answers 403", 0, count(statistics.blocked())),
    ]
}

#[cfg(test)]
mod tests;
