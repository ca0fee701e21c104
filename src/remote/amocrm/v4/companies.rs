//! Companies of contacts: their names, which contacts come without, and how one is made and linked.

use super::AmoV4;
use super::account::Filters;
use super::map::{Entity, Firm};
use super::window::ROWS;
use super::wire::{LinkWrite, Name};
use super::write::Batches;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::CompanyId;
use crate::core::model::Contact;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::remote::amocrm::batch::{self, Verb};
use crate::remote::amocrm::fault;
use crate::remote::http::Call;
use crate::remote::lane::LaneState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a name is believed.
const FRESH_MS: i64 = 600_000;
/// Names kept: more would only come with one reading of everything.
const NAMES_MAX: usize = 50_000;
/// Where filters do not work, more names than this are read from the list of all companies.
const SINGLES_MAX: usize = 20;
/// Pages of that list: 25,000 companies. Names beyond are asked for one by one.
const PAGES_MAX: u32 = 100;

const LINK: &str = "/api/v4/contacts/{id}/link";

/// Names of companies, each with the time it was read.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<BTreeMap<u64, (String, Millis)>>);

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (String, Millis)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: u64, name: String, now: Millis) {
        let mut names = self.lock();
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(id, (name, now));
    }

    fn lacks(&self, ids: &BTreeSet<u64>, now: Millis) -> BTreeSet<u64> {
        let names = self.lock();
        let is_fresh = |id: &u64| names.get(id).is_some_and(|(_, at)| now.is_near(*at, FRESH_MS));
        ids.iter().copied().filter(|id| !is_fresh(id)).collect()
    }
}

impl AmoV4 {
    /// Gives contacts the names of their companies, which v4 does not send along.
    pub(super) async fn name_companies(&self, contacts: &mut [Contact], priority: Priority) -> Result<(), Fault> {
        let nameless = |contact: &Contact| contact.company.as_ref().filter(|company| company.name.is_none()).map(id);
        let ids: BTreeSet<u64> = contacts.iter().filter_map(nameless).collect();
        match self.read_names(&ids, priority).await {
            // The token's user may see contacts and not companies.
            Err(fault) if fault.kind == FaultKind::Auth && self.lane().report().state == LaneState::Open => {
                tracing::warn!("companies are not shown to us; contacts come without their names: {fault}");
            }
            read => read?,
        }
        let names = self.companies.lock();
        for company in contacts.iter_mut().filter_map(|contact| contact.company.as_mut()) {
            if company.name.is_none() {
                company.name = names.get(&company.id.0).map(|(name, _)| name.clone()).filter(|name| !name.is_empty());
            }
        }
        Ok(())
    }

    async fn read_names(&self, ids: &BTreeSet<u64>, priority: Priority) -> Result<(), Fault> {
        let lacking = self.companies.lacks(ids, self.sender.now());
        if lacking.is_empty() {
            return Ok(());
        }
        let page = self.filtered::<Firm>(&lacking, priority).await?;
        for filed in page.rows {
            self.shelve(filed.id, filed.record);
        }
        let has_filters = !matches!(self.known(priority).await?.filters, Filters::Off | Filters::Belied);
        if !has_filters && self.companies.lacks(ids, self.sender.now()).len() > SINGLES_MAX {
            self.read_all_names(ids, priority).await?;
        }
        for id in self.companies.lacks(ids, self.sender.now()) {
            let found = self.by_id::<Firm>(&BTreeSet::from([id]), priority).await?;
            // A company in the trash has no name: better none than asked for with every page.
            self.shelve(id, found.rows.into_iter().next());
        }
        Ok(())
    }

    fn shelve(&self, id: u64, firm: Option<Firm>) {
        self.companies.put(id, firm.map(|firm| firm.name).unwrap_or_default(), self.sender.now());
    }

    async fn read_all_names(&self, ids: &BTreeSet<u64>, priority: Priority) -> Result<(), Fault> {
        for number in 1..=PAGES_MAX {
            let mut query = super::records::page_query(number);
            query.push(("order[id]".to_owned(), "asc".to_owned()));
            let answer = self.get(Firm::PATH, query, priority).await?;
            let rows = self.rows::<Firm>(&answer, priority).await?;
            let goes_on = rows.goes_on(ROWS);
            for filed in rows.into_page().rows {
                self.shelve(filed.id, filed.record);
            }
            if !goes_on || self.companies.lacks(ids, self.sender.now()).is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Makes a company and links it to a contact. One of that name to which nothing is linked is taken instead: an
    /// earlier try may have got so far. So trying again is harmless.
    pub(super) async fn give_company(&self, contact: u64, name: &str, priority: Priority) -> Result<(), Fault> {
        let found = self.search::<Firm>(name, Some("contacts,leads"), priority).await?;
        let unused = found.rows.into_iter().filter(|filed| {
            filed.record.as_ref().is_some_and(|firm| firm.is_unused && firm.name.trim() == name.trim())
        });
        let company = match unused.map(|filed| filed.id).min() {
            Some(id) => id,
            None => self.create_company(name, priority).await?,
        };
        self.shelve(company, Some(Firm { name: name.to_owned(), is_unused: false }));
        let link = LinkWrite { to_entity_id: company, to_entity_type: Firm::LIST };
        let body =
            serde_json::to_vec(&[link]).map_err(|error| Fault::new(FaultKind::Broken, format!("no JSON: {error}")))?;
        let call = Call::post(format!("/api/v4/contacts/{contact}/link"), LINK, body, priority, true);
        let answer = self.sender.call(call).await?;
        fault::fault(&answer, true, self.sender.now()).map_or(Ok(()), Err)
    }

    async fn create_company(&self, name: &str, priority: Priority) -> Result<u64, Fault> {
        let batches = Batches { path: Firm::PATH, list: Firm::LIST };
        let items = vec![Ok(Name { name: name.to_owned() })];
        let made = batch::send(&self.sender, &batches, Verb::Add, items, priority).await.pop();
        made.unwrap_or_else(|| Err(Fault::new(FaultKind::Transient, "the company was not sent"))).map_err(|fault| {
            match fault.kind {
                // The next try looks for it first.
                FaultKind::Uncertain => Fault::new(FaultKind::Transient, fault.reason),
                _ => fault,
            }
        })
    }
}

fn id(company: &crate::core::model::Company) -> u64 {
    let CompanyId(id) = company.id;
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_believed_for_a_while() {
        let shelf = Shelf::default();
        shelf.put(1, "a".to_owned(), Millis(0));
        let ids = BTreeSet::from([1, 2]);
        assert_eq!(shelf.lacks(&ids, Millis(FRESH_MS - 1)), BTreeSet::from([2]));
        assert_eq!(shelf.lacks(&ids, Millis(FRESH_MS)), ids);
    }

    #[test]
    fn the_shelf_has_an_end() {
        let shelf = Shelf::default();
        for id in 0..=NAMES_MAX as u64 {
            shelf.put(id, String::new(), Millis(0));
        }
        assert!(shelf.lock().len() <= NAMES_MAX);
    }
}
