//! What amoCRM's API v2 sends and takes: contacts, leads, notes, account.
//!
//! Unknown members are ignored, containers may be missing (v2 contacts page; recorded answers).

use crate::remote::amocrm::loose::{List, Maybe, Text, Whole};
use crate::remote::amocrm::values::{Enums, FieldRow, NamedRow};
use serde::{Deserialize, Serialize};

/// A contact.
#[derive(Deserialize)]
pub(super) struct ContactRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) first_name: Text,
    #[serde(default)]
    pub(super) last_name: Text,
    #[serde(default)]
    pub(super) responsible_user_id: Whole,
    #[serde(default)]
    pub(super) company: Maybe<NamedRow>,
    #[serde(default)]
    pub(super) leads: Maybe<IdsRow>,
    #[serde(default)]
    pub(super) tags: List<NamedRow>,
    #[serde(default)]
    pub(super) custom_fields: List<FieldRow>,
    #[serde(default)]
    pub(super) created_at: Whole,
    #[serde(default)]
    pub(super) updated_at: Whole,
}

/// A lead.
#[derive(Deserialize)]
pub(super) struct LeadRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) sale: Whole,
    #[serde(default)]
    pub(super) pipeline: Maybe<NamedRow>,
    #[serde(default)]
    pub(super) pipeline_id: Whole,
    #[serde(default)]
    pub(super) status_id: Whole,
    #[serde(default)]
    pub(super) responsible_user_id: Whole,
    #[serde(default)]
    pub(super) tags: List<NamedRow>,
    #[serde(default)]
    pub(super) main_contact: Maybe<NamedRow>,
    #[serde(default)]
    pub(super) contacts: Maybe<IdsRow>,
    #[serde(default)]
    pub(super) custom_fields: List<FieldRow>,
    #[serde(default)]
    pub(super) is_deleted: Whole,
    #[serde(default)]
    pub(super) created_at: Whole,
    #[serde(default)]
    pub(super) updated_at: Whole,
}

/// Linked records: `{"id":[1,2]}`.
#[derive(Deserialize)]
pub(super) struct IdsRow {
    #[serde(default)]
    pub(super) id: List<Whole>,
}

/// A note. Its text stands in `text`, or in `params` under a name of either case.
#[derive(Deserialize)]
pub(super) struct NoteRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) element_id: Whole,
    #[serde(default)]
    pub(super) note_type: Whole,
    #[serde(default)]
    pub(super) text: Text,
    #[serde(default)]
    pub(super) params: Maybe<NoteParams>,
    #[serde(default)]
    pub(super) created_at: Whole,
}

/// What a note of another kind than the common one carries.
#[derive(Deserialize)]
pub(super) struct NoteParams {
    #[serde(default, alias = "TEXT")]
    pub(super) text: Text,
}

/// The account.
#[derive(Deserialize)]
pub(super) struct AccountRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) timezone: Text,
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<AccountParts>,
}

/// What was asked for along with the account.
#[derive(Default, Deserialize)]
pub(super) struct AccountParts {
    #[serde(default)]
    pub(super) users: List<NamedRow>,
    #[serde(default)]
    pub(super) custom_fields: Maybe<FieldLists>,
    #[serde(default)]
    pub(super) pipelines: List<PipelineRow>,
}

/// Custom fields of each kind of record.
#[derive(Default, Deserialize)]
pub(super) struct FieldLists {
    #[serde(default)]
    pub(super) contacts: List<FieldInfoRow>,
    #[serde(default)]
    pub(super) leads: List<FieldInfoRow>,
}

/// A custom field of the account.
#[derive(Deserialize)]
pub(super) struct FieldInfoRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default, alias = "type_id")]
    pub(super) field_type: Whole,
    #[serde(default)]
    pub(super) code: Text,
    #[serde(default)]
    pub(super) enums: Enums,
}

/// A pipeline with its stages.
#[derive(Deserialize)]
pub(super) struct PipelineRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) statuses: List<NamedRow>,
}

/// A contact or lead to be written. Members that are none are not sent and so stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct RecordWrite {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) responsible_user_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) company_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sale: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pipeline_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contacts_id: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) custom_fields: Vec<FieldWrite>,
}

/// A custom field to be written, whole: what it held before is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldWrite {
    pub(super) id: u64,
    pub(super) values: Vec<ValueWrite>,
}

/// A value to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum ValueWrite {
    /// A choice of a multiselect: the bare id.
    Choice(String),
    /// Anything else.
    Value {
        /// The text.
        value: String,
        /// The kind of a phone or e-mail: its name, or its id where that is all we know.
        #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
        choice: Option<String>,
        /// The part of an address, by name.
        #[serde(skip_serializing_if = "Option::is_none")]
        subtype: Option<&'static str>,
    },
}

/// A note to be written (v2 notes page: 4 is the common note).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NoteWrite {
    pub(super) element_id: u64,
    pub(super) element_type: u8,
    pub(super) note_type: u8,
    pub(super) text: String,
    pub(super) created_at: i64,
}

/// A task to be written (v2 tasks page, after its examples: `complete_till_at`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TaskWrite {
    pub(super) element_id: u64,
    pub(super) element_type: u8,
    pub(super) complete_till_at: i64,
    pub(super) task_type: u64,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) responsible_user_id: Option<u64>,
}
