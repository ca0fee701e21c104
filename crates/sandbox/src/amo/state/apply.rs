//! How a patch changes a record, and what a record is before its first patch.

use std::collections::BTreeSet;

use super::names;
use super::patch::{Patch, Stage};
use super::records::{Card, Company, Contact, Lead, Tag};
use crate::amo::account::is_closing;
use crate::amo::options::NameRecognition;

/// A patch with its tags looked up.
pub(super) struct Change<'a> {
    pub(super) patch: &'a Patch,
    pub(super) tags: Option<Vec<Tag>>,
    pub(super) author: u64,
    pub(super) now_ms: i64,
}

impl Change<'_> {
    /// Writes the common part; the new `updated_at`.
    pub(super) fn apply(self, card: &mut Card) -> i64 {
        let patch = self.patch;
        if let Some(name) = &patch.name {
            card.name.clone_from(name);
        }
        card.responsible_user_id = patch.responsible_user_id.unwrap_or(card.responsible_user_id);
        card.created_at = patch.created_at.unwrap_or(card.created_at);
        card.tags = self.tags.unwrap_or_else(|| std::mem::take(&mut card.tags));
        for (&field_id, values) in &patch.fields {
            card.set_field(field_id, values.clone());
        }
        card.touch(self.author, self.now_ms);
        card.updated_at = patch.updated_at.unwrap_or(card.updated_at);
        card.updated_at
    }
}

/// Keeps a contact's name and its parts as close together as amoCRM does, which is not very close.
pub(super) fn rename_contact(contact: &mut Contact, patch: &Patch, recognition: NameRecognition) {
    let parts_sent = patch.first_name.is_some() || patch.last_name.is_some();
    if !parts_sent {
        let parts = patch.name.as_ref().and_then(|name| names::recognised(name, recognition));
        if let Some((first_name, last_name)) = parts {
            contact.first_name = first_name;
            contact.last_name = last_name;
        }
        return;
    }
    if let Some(first_name) = &patch.first_name {
        contact.first_name.clone_from(first_name);
    }
    if let Some(last_name) = &patch.last_name {
        contact.last_name.clone_from(last_name);
    }
    if patch.name.is_none() {
        contact.card.name = names::joined(&contact.first_name, &contact.last_name);
    }
}

/// Moves a lead to its new stage: entering a closing one closes it, leaving reopens it.
pub(super) fn move_lead(lead: &mut Lead, patch: &Patch, now_ms: i64) {
    lead.price = patch.price.unwrap_or(lead.price);
    let Some(stage) = patch.stage else { return };
    let was_closed = is_closing(lead.status_id);
    lead.pipeline_id = stage.pipeline_id;
    lead.status_id = stage.status_id;
    match (was_closed, is_closing(stage.status_id)) {
        (false, true) => lead.closed_at = now_ms.div_euclid(1_000),
        (_, false) => lead.closed_at = 0,
        (true, true) => {}
    }
}

pub(super) fn blank_contact(card: Card) -> Contact {
    Contact {
        card,
        first_name: String::new(),
        last_name: String::new(),
        company_id: None,
        lead_ids: BTreeSet::new(),
        customer_ids: BTreeSet::new(),
    }
}

pub(super) fn blank_company(card: Card) -> Company {
    Company { card, contact_ids: BTreeSet::new(), lead_ids: BTreeSet::new() }
}

pub(super) fn blank_lead(card: Card, stage: Stage) -> Lead {
    Lead {
        card,
        pipeline_id: stage.pipeline_id,
        status_id: stage.status_id,
        price: 0,
        closed_at: 0,
        contact_ids: Vec::new(),
        company_id: None,
        is_deleted: false,
    }
}
