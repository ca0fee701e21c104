//! Values of records that both versions send alike but for names: custom fields, tags, choices.

use super::loose::{List, Text, Whole};
use crate::core::id::{EnumId, FieldId};
use crate::core::model::{Element, Fields};
use crate::core::selector::AddressPart;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The id alone, for rows that cannot be read otherwise.
#[derive(Deserialize)]
pub(super) struct IdRow {
    #[serde(default)]
    pub(super) id: Whole,
}

/// Something with an id and perhaps a name.
#[derive(Deserialize)]
pub(super) struct NamedRow {
    #[serde(default)]
    pub(super) id: Whole,
    #[serde(default)]
    pub(super) name: Text,
}

/// A custom field of a record: v2 calls the members `id`, v4 `field_id`.
#[derive(Deserialize)]
pub(super) struct FieldRow {
    #[serde(default, alias = "field_id")]
    id: Whole,
    /// What the field holds, by v4's name: `smart_address`, `date`.
    #[serde(default)]
    field_type: Text,
    #[serde(default)]
    values: List<ValueRow>,
}

impl FieldRow {
    /// The field, if v4 says that it holds dates.
    pub(super) fn date_field(&self) -> Option<FieldId> {
        let kind = self.field_type.0.as_deref().unwrap_or_default();
        self.id.positive().filter(|_| is_date(kind)).map(FieldId)
    }
}

fn is_date(kind: &str) -> bool {
    matches!(kind, "date" | "date_time" | "birthday")
}

/// A value of a custom field: an object, or (dates and checkboxes of v2) a bare scalar.
#[derive(Default)]
struct ValueRow {
    value: Text,
    /// The id of the choice or kind, in v2 under `enum`.
    choice: Text,
    /// The name of the kind.
    code: Text,
    /// The part of an address (v2).
    subtype: Text,
}

/// Official samples of v4 show `enum` beside `enum_id` where live answers carry `enum_code`.
#[derive(Deserialize)]
struct ValueObject {
    #[serde(default)]
    value: Text,
    #[serde(default, rename = "enum")]
    choice: Text,
    #[serde(default)]
    enum_id: Text,
    #[serde(default)]
    code: Text,
    #[serde(default)]
    enum_code: Text,
    #[serde(default)]
    subtype: Text,
}

impl From<ValueObject> for ValueRow {
    fn from(object: ValueObject) -> ValueRow {
        let filled = |first: Text, second: Text| Text(first.filled().or(second.filled()));
        let (choice, name) = match object.enum_id.0.is_some() {
            true => (object.enum_id, object.choice),
            false => (object.choice, Text(None)),
        };
        let code = filled(filled(object.code, object.enum_code), name);
        ValueRow { value: object.value, choice, code, subtype: object.subtype }
    }
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
        ValueObject::deserialize(MapAccessDeserializer::new(entries)).map(ValueRow::from)
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

/// Rows with an id as a map from id to name.
pub(super) fn named<Id: Ord>(rows: Vec<NamedRow>, id: impl Fn(u64) -> Id) -> BTreeMap<Id, String> {
    rows.into_iter().filter_map(|row| Some((id(row.id.positive()?), row.name.or_empty()))).collect()
}

/// Names of tags, each once.
pub(super) fn tags(rows: Vec<NamedRow>) -> BTreeSet<String> {
    rows.into_iter().filter_map(|tag| tag.name.filled()).collect()
}

/// The values of a record's fields; a field that holds nothing is left out.
pub(super) fn fields(rows: Vec<FieldRow>) -> Fields {
    let mut fields = Fields::new();
    for row in rows {
        let kind = row.field_type.or_empty();
        let elements: Vec<_> = row.values.0.into_iter().filter_map(|value| element(&kind, value)).collect();
        if let Some(id) = row.id.positive().filter(|_| !elements.is_empty()) {
            fields.entry(FieldId(id)).or_default().extend(elements);
        }
    }
    fields
}

/// A value; none for one that holds nothing.
fn element(kind: &str, row: ValueRow) -> Option<Element> {
    let code = row.code.filled();
    if let Some(part) = part(kind, &row.choice, code.as_deref()) {
        let value = row.value.or_empty();
        return (!value.is_empty()).then_some(Element { part: Some(part), ..Element::text(value) });
    }
    let choice_text = row.choice.filled();
    let choice = choice_text.as_deref().and_then(|text| text.trim().parse().ok()).filter(|id| *id > 0).map(EnumId);
    // Where `enum` is no id it is the kind's name, as on write.
    let name = choice_text.filter(|text| choice.is_none() && text != "0");
    let part = row.subtype.filled().and_then(|text| AddressPart::parse(text.trim()));
    let value = unzoned(kind, row.value.or_empty());
    (!value.is_empty() || choice.is_some()).then_some(Element { value, choice, code: code.or(name), part })
}

/// The part of an address as v4 names it: by number 1 to 6, or by name (v4 custom fields page).
fn part(kind: &str, number: &Text, name: Option<&str>) -> Option<AddressPart> {
    if kind != "smart_address" {
        return None;
    }
    let number = number.0.as_deref().and_then(|text| AddressPart::parse(text.trim()));
    number.or_else(|| name.and_then(|name| AddressPart::parse(name.trim())))
}

/// A moment with its offset as Unix seconds, which mean the same in every zone (v4 custom fields page: dates are Unix
/// seconds or RFC 3339).
fn unzoned(kind: &str, value: String) -> String {
    if !is_date(kind) {
        return value;
    }
    value.parse::<Timestamp>().map_or(value, |moment| moment.as_second().to_string())
}
