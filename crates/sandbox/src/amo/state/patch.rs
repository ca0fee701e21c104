//! A checked change of a record, in words of our own: every dialect of the API turns its JSON into one.

use std::collections::BTreeMap;

use super::records::{Element, ElementKind, FieldValue};

/// The kinds of records that are built around a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::amo) enum RecordKind {
    Contact,
    Lead,
    Company,
}

impl RecordKind {
    /// The record of this kind with this number.
    pub(in crate::amo) fn element(self, id: u64) -> Element {
        let kind = match self {
            RecordKind::Contact => ElementKind::Contact,
            RecordKind::Lead => ElementKind::Lead,
            RecordKind::Company => ElementKind::Company,
        };
        Element { kind, id }
    }
}

/// A tag as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::amo) enum TagName {
    /// By its text; made if it does not exist.
    Text(String),
    /// By its number; passed over if it does not exist.
    Id(u64),
}

/// Where a lead stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::amo) struct Stage {
    pub(in crate::amo) pipeline_id: u64,
    pub(in crate::amo) status_id: u64,
}

/// What to change; `None` and empty lists leave things as they are.
#[derive(Debug, Clone, Default)]
pub(in crate::amo) struct Patch {
    pub(in crate::amo) name: Option<String>,
    pub(in crate::amo) first_name: Option<String>,
    pub(in crate::amo) last_name: Option<String>,
    pub(in crate::amo) responsible_user_id: Option<u64>,
    pub(in crate::amo) created_by: Option<u64>,
    pub(in crate::amo) created_at: Option<i64>,
    pub(in crate::amo) updated_at: Option<i64>,
    /// The full new set.
    pub(in crate::amo) tags: Option<Vec<TagName>>,
    /// Each field as a whole; without values it is cleared.
    pub(in crate::amo) fields: BTreeMap<u64, Vec<FieldValue>>,
    /// A company to be made and linked.
    pub(in crate::amo) company_name: Option<String>,
    pub(in crate::amo) links: Vec<Element>,
    pub(in crate::amo) unlinks: Vec<Element>,
    /// Leads only.
    pub(in crate::amo) stage: Option<Stage>,
    /// Leads only.
    pub(in crate::amo) price: Option<i64>,
}
