//! Managers and leads.

use std::collections::BTreeMap;

use super::{lead_and_contact, one_text, retag, tag_names};
use crate::amo::Amo;
use crate::amo::state::patch::{Patch, RecordKind, Stage, TagName};
use crate::amo::state::records::FieldValue;

/// A lead as a manager enters it. Only the name is needed.
#[derive(Debug, Clone, Default)]
pub struct LeadDraft {
    /// The name.
    pub name: String,
    /// Contacts, the main one first.
    pub contact_ids: Vec<u64>,
    /// Pipeline and stage; the first stage of the main pipeline when not given.
    pub stage: Option<(u64, u64)>,
    /// The budget.
    pub price: i64,
    /// Tags.
    pub tags: Vec<String>,
    /// Custom fields, stored as they are.
    pub fields: BTreeMap<u64, Vec<FieldValue>>,
    /// The user in charge; the manager when not given.
    pub responsible_user_id: Option<u64>,
}

/// Leads. Each method tells whether there was such a record.
impl Amo {
    /// Adds a lead and returns its number. A stage the account lacks gives way to the first one.
    pub fn create_lead(&mut self, now_ms: i64, draft: LeadDraft) -> u64 {
        let contacts = draft.contact_ids.iter().map(|&id| RecordKind::Contact.element(id));
        let patch = Patch {
            name: Some(draft.name),
            tags: Some(draft.tags.into_iter().map(TagName::Text).collect()),
            fields: draft.fields,
            responsible_user_id: Some(draft.responsible_user_id.unwrap_or(self.manager)),
            links: contacts.collect(),
            stage: draft.stage.and_then(|(pipeline, status)| self.stage(pipeline, status)),
            price: Some(draft.price),
            ..Patch::default()
        };
        self.world.create(RecordKind::Lead, patch, self.manager, now_ms)
    }

    /// Moves a lead to a stage; false too when there is no such stage.
    pub fn move_lead(&mut self, now_ms: i64, id: u64, pipeline_id: u64, status_id: u64) -> bool {
        let Some(stage) = self.stage(pipeline_id, status_id) else {
            return false;
        };
        let patch = Patch { stage: Some(stage), ..Patch::default() };
        self.edit(RecordKind::Lead, now_ms, id, patch)
    }

    /// Sets the budget of a lead.
    pub fn set_lead_price(&mut self, now_ms: i64, id: u64, price: i64) -> bool {
        let patch = Patch { price: Some(price), ..Patch::default() };
        self.edit(RecordKind::Lead, now_ms, id, patch)
    }

    /// Renames a lead.
    pub fn rename_lead(&mut self, now_ms: i64, id: u64, name: &str) -> bool {
        let patch = Patch { name: Some(name.to_owned()), ..Patch::default() };
        self.edit(RecordKind::Lead, now_ms, id, patch)
    }

    /// Replaces the values of a lead's field; none clear it.
    pub fn set_lead_field(&mut self, now_ms: i64, id: u64, field_id: u64, values: Vec<FieldValue>) -> bool {
        let fields = BTreeMap::from([(field_id, values)]);
        self.edit(RecordKind::Lead, now_ms, id, Patch { fields, ..Patch::default() })
    }

    /// Sets a one-value field of a lead; an empty text clears it.
    pub fn set_lead_text(&mut self, now_ms: i64, id: u64, field_id: u64, text: &str) -> bool {
        self.set_lead_field(now_ms, id, field_id, one_text(text))
    }

    /// Replaces the tags of a lead. Whether that counts as a change is an option.
    pub fn set_lead_tags(&mut self, now_ms: i64, id: u64, tags: &[&str]) -> bool {
        let resolved = self.world.resolve_tags(RecordKind::Lead, &tag_names(tags));
        let touches = self.touches_tags();
        let leads = &mut self.world.leads;
        leads.change(id, now_ms, |row| retag(row, resolved, touches, now_ms)).is_some()
    }

    /// Puts another user in charge of a lead.
    pub fn set_lead_responsible(&mut self, now_ms: i64, id: u64, user_id: u64) -> bool {
        let patch = Patch { responsible_user_id: Some(user_id), ..Patch::default() };
        self.edit(RecordKind::Lead, now_ms, id, patch)
    }

    /// Links a lead and a contact. Only an option makes that a change of either.
    pub fn link_lead(&mut self, now_ms: i64, lead_id: u64, contact_id: u64) -> bool {
        let (lead, contact) = lead_and_contact(lead_id, contact_id);
        let both_exist = self.world.exists(lead) && self.world.exists(contact);
        self.world.connect(lead, contact, now_ms);
        both_exist
    }

    /// Undoes the link of a lead and a contact.
    pub fn unlink_lead(&mut self, now_ms: i64, lead_id: u64, contact_id: u64) -> bool {
        let (lead, contact) = lead_and_contact(lead_id, contact_id);
        let both_exist = self.world.exists(lead) && self.world.exists(contact);
        self.world.disconnect(lead, contact, now_ms);
        both_exist
    }

    /// Moves a lead to the trash.
    pub fn delete_lead(&mut self, now_ms: i64, id: u64) -> bool {
        self.world.delete_lead(id, self.manager, now_ms)
    }

    /// Takes a lead out of the trash.
    pub fn restore_lead(&mut self, now_ms: i64, id: u64) -> bool {
        self.world.restore_lead(id, self.manager, now_ms)
    }

    fn stage(&self, pipeline_id: u64, status_id: u64) -> Option<Stage> {
        let pipeline = self.world.account.pipelines.get(&pipeline_id)?;
        pipeline.status(status_id)?;
        Some(Stage { pipeline_id, status_id })
    }
}
