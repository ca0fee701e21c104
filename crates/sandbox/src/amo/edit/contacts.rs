//! Managers and contacts.

use std::collections::BTreeMap;

use super::{one_text, retag, tag_names};
use crate::amo::Amo;
use crate::amo::account::FieldKind;
use crate::amo::state::patch::{Patch, RecordKind, TagName};
use crate::amo::state::records::{Contact, FieldValue};

/// A contact as a manager enters it. Only the name is needed.
#[derive(Debug, Clone, Default)]
pub struct ContactDraft {
    /// The whole name.
    pub name: String,
    /// Phones, as typed; stored as the first kind.
    pub phones: Vec<String>,
    /// E-mails, as typed; stored as the first kind.
    pub emails: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Further custom fields, stored as they are.
    pub fields: BTreeMap<u64, Vec<FieldValue>>,
    /// The user in charge; the manager when not given.
    pub responsible_user_id: Option<u64>,
    /// A company to be made.
    pub company_name: Option<String>,
}

/// Contacts. Each method tells whether there was such a record.
impl Amo {
    /// Adds a contact and returns its number.
    pub fn add_contact(&mut self, now_ms: i64, draft: ContactDraft) -> u64 {
        let mut fields = draft.fields;
        for (code, texts) in [("PHONE", draft.phones), ("EMAIL", draft.emails)] {
            let Some((field_id, choice_id)) = self.multitext(code) else {
                continue;
            };
            let values = texts.into_iter().map(|text| FieldValue::chosen(text, choice_id));
            fields.entry(field_id).or_default().extend(values);
        }
        fields.retain(|_, values| !values.is_empty());
        let patch = Patch {
            name: Some(draft.name),
            tags: Some(draft.tags.into_iter().map(TagName::Text).collect()),
            fields,
            responsible_user_id: Some(draft.responsible_user_id.unwrap_or(self.manager)),
            company_name: draft.company_name,
            ..Patch::default()
        };
        self.world.create(RecordKind::Contact, patch, self.manager, now_ms)
    }

    /// Renames a contact.
    pub fn rename_contact(&mut self, now_ms: i64, id: u64, name: &str) -> bool {
        let patch = Patch { name: Some(name.to_owned()), ..Patch::default() };
        self.edit(RecordKind::Contact, now_ms, id, patch)
    }

    /// Replaces the values of a contact's field; none clear it.
    pub fn set_contact_field(&mut self, now_ms: i64, id: u64, field_id: u64, values: Vec<FieldValue>) -> bool {
        let fields = BTreeMap::from([(field_id, values)]);
        self.edit(RecordKind::Contact, now_ms, id, Patch { fields, ..Patch::default() })
    }

    /// Sets a one-value field of a contact; an empty text clears it.
    pub fn set_contact_text(&mut self, now_ms: i64, id: u64, field_id: u64, text: &str) -> bool {
        self.set_contact_field(now_ms, id, field_id, one_text(text))
    }

    /// Sets the choices of a contact's list; choices the list does not have are passed over.
    pub fn choose(&mut self, now_ms: i64, id: u64, field_id: u64, choice_ids: &[u64]) -> bool {
        let fields = &self.world.account.fields.contacts;
        let field = fields.iter().find(|field| field.id == field_id);
        let chosen = choice_ids.iter().filter_map(|&id| field.and_then(|field| field.choice(id)));
        let values = chosen.map(|choice| FieldValue::chosen(choice.value.clone(), choice.id)).collect();
        self.set_contact_field(now_ms, id, field_id, values)
    }

    /// Adds a phone to a contact.
    pub fn add_phone(&mut self, now_ms: i64, id: u64, phone: &str) -> bool {
        self.add_text(now_ms, id, "PHONE", phone)
    }

    /// Removes a phone, written exactly so, from a contact.
    pub fn remove_phone(&mut self, now_ms: i64, id: u64, phone: &str) -> bool {
        self.remove_text(now_ms, id, "PHONE", phone)
    }

    /// Adds an e-mail to a contact.
    pub fn add_email(&mut self, now_ms: i64, id: u64, email: &str) -> bool {
        self.add_text(now_ms, id, "EMAIL", email)
    }

    /// Removes an e-mail, written exactly so, from a contact.
    pub fn remove_email(&mut self, now_ms: i64, id: u64, email: &str) -> bool {
        self.remove_text(now_ms, id, "EMAIL", email)
    }

    /// Replaces the tags of a contact. Whether that counts as a change is an option.
    pub fn set_contact_tags(&mut self, now_ms: i64, id: u64, tags: &[&str]) -> bool {
        let resolved = self.world.resolve_tags(RecordKind::Contact, &tag_names(tags));
        let touches = self.touches_tags();
        let contacts = &mut self.world.contacts;
        contacts.change(id, now_ms, |row| retag(row, resolved, touches, now_ms)).is_some()
    }

    /// Puts another user in charge of a contact.
    pub fn set_contact_responsible(&mut self, now_ms: i64, id: u64, user_id: u64) -> bool {
        let patch = Patch { responsible_user_id: Some(user_id), ..Patch::default() };
        self.edit(RecordKind::Contact, now_ms, id, patch)
    }

    /// Moves a contact to the trash.
    pub fn delete_contact(&mut self, now_ms: i64, id: u64) -> bool {
        self.world.delete_contact(id, now_ms)
    }

    /// Takes a contact out of the trash.
    pub fn restore_contact(&mut self, now_ms: i64, id: u64) -> bool {
        self.world.restore_contact(id, self.manager, now_ms)
    }

    /// Merges a contact into another; the loser vanishes for good.
    pub fn merge_contacts(&mut self, now_ms: i64, survivor: u64, loser: u64) -> bool {
        self.world.merge_contacts(survivor, loser, self.manager, now_ms)
    }

    /// The field with this code and its first kind.
    fn multitext(&self, code: &str) -> Option<(u64, u64)> {
        let fields = &self.world.account.fields.contacts;
        let field =
            fields.iter().find(|field| field.kind == FieldKind::Multitext && field.code.as_deref() == Some(code))?;
        Some((field.id, field.choices.first()?.id))
    }

    fn add_text(&mut self, now_ms: i64, id: u64, code: &str, text: &str) -> bool {
        let Some((field_id, choice_id)) = self.multitext(code) else {
            return false;
        };
        let Some(contact) = self.contact(id) else {
            return false;
        };
        let mut values = contact.card.values(field_id).to_vec();
        values.push(FieldValue::chosen(text, choice_id));
        self.set_contact_field(now_ms, id, field_id, values)
    }

    fn remove_text(&mut self, now_ms: i64, id: u64, code: &str, text: &str) -> bool {
        let Some((field_id, _)) = self.multitext(code) else {
            return false;
        };
        let has_it = |contact: &Contact| contact.card.texts(field_id).contains(&text);
        let Some(contact) = self.contact(id).filter(|contact| has_it(contact)) else {
            return false;
        };
        let mut values = contact.card.values(field_id).to_vec();
        values.retain(|value| value.value != text);
        self.set_contact_field(now_ms, id, field_id, values)
    }
}
