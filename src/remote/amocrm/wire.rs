//! What amoCRM's API v2 sends: contacts, leads, notes, account, answers to writes.
//!
//! Unknown members are ignored, containers may be missing (v2 contacts page; recorded answers).

use super::loose::{List, Maybe, Text, Whole};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// The envelope of every answer.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(default, rename = "_embedded")]
    pub(super) embedded: Maybe<Embedded>,
}

/// The rows of an answer. They stay raw, so that one bad row costs no other.
#[derive(Default, Deserialize)]
pub(super) struct Embedded {
    #[serde(default)]
    pub(super) items: List<Box<RawValue>>,
    #[serde(default)]
    pub(super) errors: Maybe<WriteErrors>,
}

/// Refusals of single items inside a successful answer.
#[derive(Default, Deserialize)]
pub(super) struct WriteErrors {
    #[serde(default)]
    pub(super) add: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) update: Option<serde_json::Value>,
}

/// An item that was written.
#[derive(Deserialize)]
pub(super) struct WrittenRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) request_id: Text,
}

/// The id alone, for rows that cannot be read otherwise.
#[derive(Deserialize)]
pub(super) struct IdRow {
    #[serde(default)]
    pub(super) id: Whole,
}

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

/// Something with an id and perhaps a name.
#[derive(Deserialize)]
pub(super) struct NamedRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
}

/// Linked records: `{"id":[1,2]}`.
#[derive(Deserialize)]
pub(super) struct IdsRow {
    #[serde(default)]
    pub(super) id: List<Whole>,
}

/// A custom field of a record.
#[derive(Deserialize)]
pub(super) struct FieldRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) values: List<ValueRow>,
}

/// A value of a custom field: an object, or (dates, checkboxes) a bare scalar.
#[derive(Default)]
pub(super) struct ValueRow {
    pub(super) value: Text,
    pub(super) choice: Text,
    pub(super) code: Text,
    pub(super) subtype: Text,
}

#[derive(Deserialize)]
struct ValueObject {
    #[serde(default)]
    value: Text,
    #[serde(default, rename = "enum")]
    choice: Text,
    #[serde(default, alias = "enum_code")]
    code: Text,
    #[serde(default)]
    subtype: Text,
}

impl<'de> Deserialize<'de> for ValueRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl ValueRow {
    fn bare(value: impl ToString) -> ValueRow {
        ValueRow { value: Text(Some(value.to_string())), ..ValueRow::default() }
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = ValueRow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<ValueRow, A::Error> {
        let object = ValueObject::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(ValueRow { value: object.value, choice: object.choice, code: object.code, subtype: object.subtype })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ValueRow, E> {
        Ok(ValueRow::bare(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ValueRow, E> {
        Ok(ValueRow::bare(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ValueRow, E> {
        Ok(ValueRow::bare(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ValueRow, E> {
        Ok(ValueRow::bare(number))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<ValueRow, E> {
        Ok(ValueRow::bare(u8::from(flag)))
    }

    fn visit_unit<E: Error>(self) -> Result<ValueRow, E> {
        Ok(ValueRow::default())
    }
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

/// A task (v2 tasks page).
#[derive(Deserialize)]
pub(super) struct TaskRow {
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) element_id: Whole,
    #[serde(default)]
    pub(super) text: Text,
    #[serde(default, alias = "complete_till")]
    pub(super) complete_till_at: Whole,
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

/// Choices of a list: `[{"id":1,"value":"A"}]`, or a map from id to either the text or that object.
#[derive(Default)]
pub(super) struct Enums(pub(super) Vec<(u64, String)>);

impl<'de> Deserialize<'de> for Enums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Enums(match value {
            serde_json::Value::Array(items) => items.iter().filter_map(|item| choice(None, item)).collect(),
            serde_json::Value::Object(map) => map.iter().filter_map(|(key, item)| choice(Some(key), item)).collect(),
            _ => Vec::new(),
        }))
    }
}

fn choice(key: Option<&String>, item: &serde_json::Value) -> Option<(u64, String)> {
    if let Some(text) = item.as_str() {
        return Some((key?.trim().parse().ok()?, text.to_owned()));
    }
    let id = item.get("id").map(|id| serde_json::from_value::<Whole>(id.clone()));
    let id = match id {
        Some(id) => id.ok()?.positive()?,
        None => key?.trim().parse().ok()?,
    };
    let text: Text = serde_json::from_value(item.get("value")?.clone()).ok()?;
    Some((id, text.or_empty()))
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
