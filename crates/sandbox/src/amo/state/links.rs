//! Links between records, always written at both ends; deletion, restoring and merging.

use super::news::What;
use super::patch::RecordKind;
use super::records::{Card, Contact, Element, ElementKind, FieldValue};
use super::table::{Row, Table};
use super::world::World;
use crate::amo::account::{Field, FieldKind};

impl World {
    /// Links two records; pairs that cannot be linked, or do not exist, are passed over.
    pub(in crate::amo) fn connect(&mut self, near: Element, far: Element, now_ms: i64) {
        use ElementKind::{Company, Contact, Customer, Lead};
        if !self.exists(near) || !self.exists(far) {
            return;
        }
        let changed = match (near.kind, far.kind) {
            (Contact, Lead) => self.join_contact_and_lead(near.id, far.id, now_ms),
            (Lead, Contact) => self.join_contact_and_lead(far.id, near.id, now_ms),
            (Contact, Company) => self.settle_contact(near.id, Some(far.id), now_ms),
            (Company, Contact) => self.settle_contact(far.id, Some(near.id), now_ms),
            (Lead, Company) => self.settle_lead(near.id, Some(far.id), now_ms),
            (Company, Lead) => self.settle_lead(far.id, Some(near.id), now_ms),
            (Contact, Customer) => change(&mut self.contacts, near.id, now_ms, |c| c.customer_ids.insert(far.id)),
            _ => false,
        };
        self.touch_far_end(changed, near, far, now_ms);
    }

    /// Undoes a link; a link that is not there is passed over.
    pub(in crate::amo) fn disconnect(&mut self, near: Element, far: Element, now_ms: i64) {
        use ElementKind::{Company, Contact, Customer, Lead};
        let changed = match (near.kind, far.kind) {
            (Contact, Lead) => self.part_contact_and_lead(near.id, far.id, now_ms),
            (Lead, Contact) => self.part_contact_and_lead(far.id, near.id, now_ms),
            (Contact, Company) if self.company_of_contact(near.id) == Some(far.id) => {
                self.settle_contact(near.id, None, now_ms)
            }
            (Company, Contact) if self.company_of_contact(far.id) == Some(near.id) => {
                self.settle_contact(far.id, None, now_ms)
            }
            (Lead, Company) if self.company_of_lead(near.id) == Some(far.id) => self.settle_lead(near.id, None, now_ms),
            (Company, Lead) if self.company_of_lead(far.id) == Some(near.id) => self.settle_lead(far.id, None, now_ms),
            (Contact, Customer) => change(&mut self.contacts, near.id, now_ms, |c| c.customer_ids.remove(&far.id)),
            _ => false,
        };
        self.touch_far_end(changed, near, far, now_ms);
    }

    /// Moves a contact to the trash; it leaves its leads and its company.
    pub(in crate::amo) fn delete_contact(&mut self, id: u64, now_ms: i64) -> bool {
        let Some(contact) = self.contacts.remove(id) else {
            return false;
        };
        for &lead_id in &contact.lead_ids {
            self.leads.change(lead_id, now_ms, |lead| lead.contact_ids.retain(|&c| c != id));
        }
        if let Some(company_id) = contact.company_id {
            self.companies.change(company_id, now_ms, |company| company.contact_ids.remove(&id));
        }
        self.contacts.bury(contact);
        self.tell(RecordKind::Contact, id, What::Deleted, 0, now_ms);
        true
    }

    /// Takes a contact out of the trash; links to records that still exist come back.
    pub(in crate::amo) fn restore_contact(&mut self, id: u64, user: u64, now_ms: i64) -> bool {
        let Some(mut contact) = self.contacts.unbury(id) else {
            return false;
        };
        let leads = std::mem::take(&mut contact.lead_ids);
        let company = contact.company_id.take();
        contact.card.touch(user, now_ms);
        self.contacts.insert(contact, now_ms);
        let near = RecordKind::Contact.element(id);
        for lead_id in leads {
            self.connect(near, RecordKind::Lead.element(lead_id), now_ms);
        }
        if let Some(company_id) = company {
            self.connect(near, RecordKind::Company.element(company_id), now_ms);
        }
        self.tell(RecordKind::Contact, id, What::Restored, user, now_ms);
        true
    }

    /// Moves a lead to the trash; it leaves its contacts and its company.
    pub(in crate::amo) fn delete_lead(&mut self, id: u64, user: u64, now_ms: i64) -> bool {
        let Some(mut lead) = self.leads.remove(id) else {
            return false;
        };
        for &contact_id in &lead.contact_ids {
            self.contacts.change(contact_id, now_ms, |contact| contact.lead_ids.remove(&id));
        }
        if let Some(company_id) = lead.company_id {
            self.companies.change(company_id, now_ms, |company| company.lead_ids.remove(&id));
        }
        lead.is_deleted = true;
        lead.card.touch(user, now_ms);
        self.leads.bury(lead);
        self.tell(RecordKind::Lead, id, What::Deleted, user, now_ms);
        true
    }

    /// Takes a lead out of the trash; links to records that still exist come back.
    pub(in crate::amo) fn restore_lead(&mut self, id: u64, user: u64, now_ms: i64) -> bool {
        let Some(mut lead) = self.leads.unbury(id) else {
            return false;
        };
        let contacts = std::mem::take(&mut lead.contact_ids);
        let company = lead.company_id.take();
        lead.is_deleted = false;
        lead.card.touch(user, now_ms);
        self.leads.insert(lead, now_ms);
        let near = RecordKind::Lead.element(id);
        for contact_id in contacts {
            self.connect(near, RecordKind::Contact.element(contact_id), now_ms);
        }
        if let Some(company_id) = company {
            self.connect(near, RecordKind::Company.element(company_id), now_ms);
        }
        self.tell(RecordKind::Lead, id, What::Restored, user, now_ms);
        true
    }

    /// Merges a contact into another: values, tags, links, notes and tasks move over, the loser vanishes
    /// without passing through the trash.
    pub(in crate::amo) fn merge_contacts(&mut self, survivor: u64, loser: u64, user: u64, now_ms: i64) -> bool {
        if survivor == loser || !self.contacts.contains(survivor) || !self.contacts.contains(loser) {
            return false;
        }
        let known = self.news.len();
        self.delete_contact(loser, now_ms);
        if !self.telling.merges_tell_of_deletion {
            self.news.forget(RecordKind::Contact, loser, known);
        }
        let Some(gone) = self.contacts.unbury(loser) else {
            return false;
        };
        self.hand_over_links(survivor, &gone, now_ms);
        let touches = self.touch.merges;
        let fields = &self.account.fields.contacts;
        self.contacts.change(survivor, now_ms, |contact| {
            absorb(&mut contact.card, gone.card, fields);
            if touches {
                contact.card.touch(user, now_ms);
            }
        });
        if touches {
            self.tell(RecordKind::Contact, survivor, What::Updated, user, now_ms);
        }
        let named = if self.telling.merges_name_the_loser { loser } else { survivor };
        self.tell(RecordKind::Contact, named, What::Merged, user, now_ms);
        true
    }

    fn hand_over_links(&mut self, survivor: u64, gone: &Contact, now_ms: i64) {
        let to = RecordKind::Contact.element(survivor);
        for &lead_id in &gone.lead_ids {
            self.connect(to, RecordKind::Lead.element(lead_id), now_ms);
        }
        if let (None, Some(company_id)) = (self.company_of_contact(survivor), gone.company_id) {
            self.connect(to, RecordKind::Company.element(company_id), now_ms);
        }
        for &id in &gone.customer_ids {
            self.connect(to, Element { kind: ElementKind::Customer, id }, now_ms);
        }
        self.hand_over(RecordKind::Contact.element(gone.card.id), to, now_ms);
    }

    fn touch_far_end(&mut self, changed: bool, near: Element, far: Element, now_ms: i64) {
        if changed && self.touch.links {
            let user = self.author_of(near);
            self.touch(far, user, now_ms);
        }
    }

    fn author_of(&self, element: Element) -> u64 {
        let card = match element.kind {
            ElementKind::Contact => self.contacts.get(element.id).map(|row| &row.card),
            ElementKind::Lead => self.leads.get(element.id).map(|row| &row.card),
            ElementKind::Company => self.companies.get(element.id).map(|row| &row.card),
            ElementKind::Task | ElementKind::Customer => None,
        };
        card.map_or(self.account.current_user, |card| card.updated_by)
    }

    fn company_of_contact(&self, id: u64) -> Option<u64> {
        self.contacts.get(id).and_then(|contact| contact.company_id)
    }

    fn company_of_lead(&self, id: u64) -> Option<u64> {
        self.leads.get(id).and_then(|lead| lead.company_id)
    }

    fn join_contact_and_lead(&mut self, contact_id: u64, lead_id: u64, now_ms: i64) -> bool {
        let is_new = change(&mut self.contacts, contact_id, now_ms, |contact| contact.lead_ids.insert(lead_id));
        if is_new {
            self.leads.change(lead_id, now_ms, |lead| lead.contact_ids.push(contact_id));
        }
        is_new
    }

    fn part_contact_and_lead(&mut self, contact_id: u64, lead_id: u64, now_ms: i64) -> bool {
        self.leads.change(lead_id, now_ms, |lead| lead.contact_ids.retain(|&id| id != contact_id));
        change(&mut self.contacts, contact_id, now_ms, |contact| contact.lead_ids.remove(&lead_id))
    }

    fn settle_contact(&mut self, id: u64, company_id: Option<u64>, now_ms: i64) -> bool {
        let old = self.contacts.change(id, now_ms, |contact| std::mem::replace(&mut contact.company_id, company_id));
        let old = old.flatten();
        if let Some(old_id) = old {
            self.companies.change(old_id, now_ms, |company| company.contact_ids.remove(&id));
        }
        if let Some(new_id) = company_id {
            self.companies.change(new_id, now_ms, |company| company.contact_ids.insert(id));
        }
        old != company_id
    }

    fn settle_lead(&mut self, id: u64, company_id: Option<u64>, now_ms: i64) -> bool {
        let old = self.leads.change(id, now_ms, |lead| std::mem::replace(&mut lead.company_id, company_id)).flatten();
        if let Some(old_id) = old {
            self.companies.change(old_id, now_ms, |company| company.lead_ids.remove(&id));
        }
        if let Some(new_id) = company_id {
            self.companies.change(new_id, now_ms, |company| company.lead_ids.insert(id));
        }
        old != company_id
    }
}

fn change<T: Row>(table: &mut Table<T>, id: u64, now_ms: i64, change: impl FnOnce(&mut T) -> bool) -> bool {
    table.change(id, now_ms, change).unwrap_or(false)
}

/// Fields the survivor lacks are taken over; fields of many values are united; tags too.
fn absorb(survivor: &mut Card, loser: Card, fields: &[Field]) {
    for (field_id, values) in loser.fields {
        let own = survivor.fields.entry(field_id).or_default();
        if own.is_empty() {
            *own = values;
        } else if fields.iter().any(|field| field.id == field_id && holds_many(field.kind)) {
            add_missing(own, values);
        }
    }
    for tag in loser.tags {
        if !survivor.tags.contains(&tag) {
            survivor.tags.push(tag);
        }
    }
}

fn holds_many(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Multitext | FieldKind::Multiselect)
}

fn add_missing(own: &mut Vec<FieldValue>, values: Vec<FieldValue>) {
    for value in values {
        if own.iter().all(|known| known.value != value.value) {
            own.push(value);
        }
    }
}
