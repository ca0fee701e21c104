//! What amoCRM's API v4 sends and takes.
//!
//! Unknown members are ignored; containers may be missing, empty or `null` (v4 contacts and leads pages).

use crate::remote::amocrm::loose::{List, Maybe, Text, Whole};
use crate::remote::amocrm::values::{Enums, FieldRow, NamedRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A contact (v4 contacts page).
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
    pub(super) custom_fields_values: List<FieldRow>,
    #[serde(default)]
    pub(super) is_deleted: Whole,
    #[serde(default)]
    pub(super) created_at: Whole,
    #[serde(default)]
    pub(super) updated_at: Whole,
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<Linked>,
}

/// A lead (v4 leads page).
#[derive(Deserialize)]
pub(super) struct LeadRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) price: Whole,
    #[serde(default)]
    pub(super) pipeline_id: Whole,
    #[serde(default)]
    pub(super) status_id: Whole,
    #[serde(default)]
    pub(super) responsible_user_id: Whole,
    #[serde(default)]
    pub(super) custom_fields_values: List<FieldRow>,
    #[serde(default)]
    pub(super) is_deleted: Whole,
    #[serde(default)]
    pub(super) created_at: Whole,
    #[serde(default)]
    pub(super) updated_at: Whole,
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<Linked>,
}

/// A company, as far as contacts and the search for it need it (v4 companies page).
#[derive(Deserialize)]
pub(super) struct CompanyRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) is_deleted: Whole,
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<Linked>,
}

/// What stands in a record's `_embedded`: always tags and companies, the rest where `with` asked for it.
#[derive(Default, Deserialize)]
pub(super) struct Linked {
    #[serde(default)]
    pub(super) tags: List<NamedRow>,
    #[serde(default)]
    pub(super) companies: List<NamedRow>,
    #[serde(default)]
    pub(super) leads: List<NamedRow>,
    #[serde(default)]
    pub(super) contacts: List<LinkedContact>,
}

/// A contact of a lead.
#[derive(Deserialize)]
pub(super) struct LinkedContact {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) is_main: Whole,
}

/// A note (v4 events and notes page). `params` may be `[]` where there are none.
#[derive(Deserialize)]
pub(super) struct NoteRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) entity_id: Whole,
    #[serde(default)]
    pub(super) note_type: Text,
    #[serde(default)]
    pub(super) params: Maybe<NoteParams>,
    #[serde(default)]
    pub(super) created_at: Whole,
}

/// What a note says.
#[derive(Deserialize)]
pub(super) struct NoteParams {
    #[serde(default)]
    pub(super) text: Text,
}

/// The account (v4 account page).
#[derive(Deserialize)]
pub(super) struct AccountRow {
    #[serde(default)]
    pub(super) id: Whole,
    /// Tells nothing where it is missing.
    #[serde(default)]
    pub(super) is_api_filter_enabled: Whole,
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<AccountParts>,
}

/// What was asked for along with the account.
#[derive(Default, Deserialize)]
pub(super) struct AccountParts {
    #[serde(default)]
    pub(super) datetime_settings: Maybe<TimeSettings>,
}

/// How the account tells the time.
#[derive(Default, Deserialize)]
pub(super) struct TimeSettings {
    #[serde(default)]
    pub(super) timezone: Text,
}

/// A custom field of the account (v4 custom fields page).
#[derive(Deserialize)]
pub(super) struct FieldInfoRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default, rename = "type")]
    pub(super) kind: Text,
    #[serde(default)]
    pub(super) code: Text,
    #[serde(default)]
    pub(super) enums: Enums,
}

/// A pipeline with its stages (v4 pipelines page).
#[derive(Deserialize)]
pub(super) struct PipelineRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<Stages>,
}

/// The stages of a pipeline.
#[derive(Default, Deserialize)]
pub(super) struct Stages {
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
    pub(super) price: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pipeline_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_id: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) custom_fields_values: Vec<FieldWrite>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags_to_add: Vec<Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags_to_delete: Vec<Name>,
    #[serde(rename = "_embedded", skip_serializing_if = "Option::is_none")]
    pub(super) embedded: Option<Beginning>,
}

/// What a new record begins with: its tags, and a lead its contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Beginning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<Vec<Name>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) contacts: Vec<LinkedId>,
}

/// A record by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LinkedId {
    pub(super) id: u64,
}

/// A tag or a company by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Name {
    pub(super) name: String,
}

/// A custom field to be written, whole: what it held before is replaced. Without values it is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldWrite {
    pub(super) field_id: u64,
    pub(super) values: Option<Vec<ValueWrite>>,
}

/// A value to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct ValueWrite {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<Value>,
    /// The choice, or the kind of a phone or e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enum_id: Option<u64>,
    /// The kind by name, or the part of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enum_code: Option<String>,
}

/// A note to be written (v4 events and notes page; `created_at` as the official PHP client sends it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NoteWrite {
    pub(super) entity_id: u64,
    pub(super) note_type: &'static str,
    pub(super) params: NoteText,
    pub(super) created_at: i64,
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NoteText {
    pub(super) text: String,
}

/// A task to be written (v4 tasks page).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TaskWrite {
    pub(super) entity_id: u64,
    pub(super) entity_type: &'static str,
    pub(super) complete_till: i64,
    pub(super) task_type_id: u64,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) responsible_user_id: Option<u64>,
}

/// A link to be made (v4 entity links page).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LinkWrite {
    pub(super) to_entity_id: u64,
    pub(super) to_entity_type: &'static str,
}
