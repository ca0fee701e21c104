//! The records: contacts, leads, companies, notes and tasks.

use std::collections::{BTreeMap, BTreeSet};

/// What a note, a task or a link points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ElementKind {
    /// 1.
    Contact,
    /// 2.
    Lead,
    /// 3.
    Company,
    /// 4: only for notes of type 13, the result of a task.
    Task,
    /// 12: customers are known by number only.
    Customer,
}

impl ElementKind {
    /// The `element_type` of API v2.
    pub fn number(self) -> u64 {
        match self {
            ElementKind::Contact => 1,
            ElementKind::Lead => 2,
            ElementKind::Company => 3,
            ElementKind::Task => 4,
            ElementKind::Customer => 12,
        }
    }

    /// The kind with this `element_type`.
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(ElementKind::Contact),
            2 => Some(ElementKind::Lead),
            3 => Some(ElementKind::Company),
            4 => Some(ElementKind::Task),
            12 => Some(ElementKind::Customer),
            _ => None,
        }
    }
}

/// One record, by kind and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Its kind.
    pub kind: ElementKind,
    /// Its number.
    pub id: u64,
}

/// A tag; each kind of record has tags of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The tag's number.
    pub id: u64,
    /// Its text.
    pub name: String,
}

/// One value of a custom field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// The value as text; for a list, the text of the choice.
    pub value: String,
    /// The choice, for lists; the kind, for phones and e-mails.
    pub choice_id: Option<u64>,
    /// The part of an address, 1 to 6.
    pub subtype: Option<u8>,
}

impl FieldValue {
    /// A value that is text and nothing more.
    pub fn plain(value: impl Into<String>) -> Self {
        FieldValue { value: value.into(), choice_id: None, subtype: None }
    }

    /// A chosen value, or a phone or an e-mail of a kind.
    pub fn chosen(value: impl Into<String>, choice_id: u64) -> Self {
        FieldValue { value: value.into(), choice_id: Some(choice_id), subtype: None }
    }
}

/// What contacts, leads and companies have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The record's number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Creation, in Unix seconds; callers of the API may set it.
    pub created_at: i64,
    /// Last change, in Unix seconds; callers of the API set it, so it need not be true.
    pub updated_at: i64,
    /// Who made it.
    pub created_by: u64,
    /// Who changed it last.
    pub updated_by: u64,
    /// The user in charge.
    pub responsible_user_id: u64,
    /// When it was changed last, by the clock of this service.
    pub changed_at_ms: i64,
    /// Its tags, in the order they were given.
    pub tags: Vec<Tag>,
    /// Values of custom fields by field; a field without values has no entry.
    pub fields: BTreeMap<u64, Vec<FieldValue>>,
}

impl Card {
    /// The values of a field, none when it is empty.
    pub fn values(&self, field_id: u64) -> &[FieldValue] {
        self.fields.get(&field_id).map_or(&[], Vec::as_slice)
    }

    /// The texts of a field's values.
    pub fn texts(&self, field_id: u64) -> Vec<&str> {
        self.values(field_id).iter().map(|value| value.value.as_str()).collect()
    }

    /// Replaces a field as a whole; no values clear it.
    pub(in crate::amo) fn set_field(&mut self, field_id: u64, values: Vec<FieldValue>) {
        if values.is_empty() {
            self.fields.remove(&field_id);
        } else {
            self.fields.insert(field_id, values);
        }
    }

    /// Marks a change made now.
    pub(in crate::amo) fn touch(&mut self, user_id: u64, now_ms: i64) {
        self.updated_at = now_ms.div_euclid(1_000);
        self.updated_by = user_id;
        self.changed_at_ms = now_ms;
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The common part.
    pub card: Card,
    /// The first name, recognised or sent.
    pub first_name: String,
    /// The last name, recognised or sent.
    pub last_name: String,
    /// The person's company.
    pub company_id: Option<u64>,
    /// The person's leads.
    pub lead_ids: BTreeSet<u64>,
    /// The person's customers, known by number only.
    pub customer_ids: BTreeSet<u64>,
}

/// A deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The common part.
    pub card: Card,
    /// The pipeline it moves through.
    pub pipeline_id: u64,
    /// Its stage there.
    pub status_id: u64,
    /// The budget, in whole units of the account's currency.
    pub price: i64,
    /// When it was won or lost, in Unix seconds; 0 while open.
    pub closed_at: i64,
    /// The lead's contacts, the main one first.
    pub contact_ids: Vec<u64>,
    /// The lead's company.
    pub company_id: Option<u64>,
    /// It lies in the trash.
    pub is_deleted: bool,
}

/// A company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The common part.
    pub card: Card,
    /// The people of the company.
    pub contact_ids: BTreeSet<u64>,
    /// The deals of the company.
    pub lead_ids: BTreeSet<u64>,
}

/// A note on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The note's number.
    pub id: u64,
    /// What it stands on.
    pub element: Element,
    /// 4 plain, 13 result of a task, 25 service message, 102 and 103 SMS; others by amoCRM itself.
    pub note_type: u64,
    /// The text; for types with parameters it is among them.
    pub text: String,
    /// `text`, `service`, `phone` of types 25, 102 and 103.
    pub params: BTreeMap<String, String>,
    /// Creation, in Unix seconds.
    pub created_at: i64,
    /// Last change, in Unix seconds.
    pub updated_at: i64,
    /// Who wrote it.
    pub created_by: u64,
    /// The user in charge.
    pub responsible_user_id: u64,
    /// When it was changed last, by the clock of this service.
    pub changed_at_ms: i64,
}

impl Note {
    /// The words of the note, wherever its type keeps them.
    pub fn words(&self) -> &str {
        self.params.get("text").map_or(self.text.as_str(), String::as_str)
    }
}

/// Something to be done for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The task's number.
    pub id: u64,
    /// What it is about.
    pub element: Element,
    /// 1 call, 2 meeting, 3 mail, further ones are the account's own.
    pub task_type: u64,
    /// What is to be done.
    pub text: String,
    /// The deadline, in Unix seconds.
    pub complete_till_at: i64,
    /// Done.
    pub is_completed: bool,
    /// What came of it, where somebody said so with v4; v2 has notes for it.
    pub result: Option<String>,
    /// Creation, in Unix seconds.
    pub created_at: i64,
    /// Last change, in Unix seconds.
    pub updated_at: i64,
    /// Who made it.
    pub created_by: u64,
    /// The user in charge.
    pub responsible_user_id: u64,
    /// When it was changed last, by the clock of this service.
    pub changed_at_ms: i64,
}
