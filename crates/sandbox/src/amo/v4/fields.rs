//! Custom fields as they are written: every field sent is replaced as a whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Refusal, at, number, only, sent, text};
use crate::amo::account::{Choice, Field, FieldKind};
use crate::amo::call::Call;
use crate::amo::state::records::FieldValue;
use crate::amo::texts::{self, ADDRESS_PARTS};
use crate::amo::wire::Object;

const KEY: &str = "custom_fields_values";

/// Reads `custom_fields_values`: the new values of each field sent.
pub(super) fn parse(call: &Call, fields: &[Field], item: &Object) -> Result<BTreeMap<u64, Vec<FieldValue>>, Refusal> {
    let mut parsed = BTreeMap::new();
    let Some(entries) = sent(item, KEY) else { return Ok(parsed) };
    for (place, entry) in entries.as_array().ok_or_else(|| Refusal::of_type(KEY))?.iter().enumerate() {
        let path = at(KEY, place);
        let entry = entry.as_object().ok_or_else(|| Refusal::of_type(&path))?;
        let echoed: &[&str] = if call.options.v4.refuses_echo { &[] } else { &["field_name", "field_type"] };
        only(entry, &path, &[&["field_id", "field_code", "values"], echoed].concat())?;
        let field = field(fields, entry, &path)?;
        let path = at(&path, "values");
        let values = match entry.get("values") {
            None => return Err(Refusal::new("NotBlank", path, "This value should not be blank.")),
            Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => Reader { call, field }.read(values, &path)?,
            Some(_) => return Err(Refusal::of_type(path)),
        };
        parsed.insert(field.id, values);
    }
    Ok(parsed)
}

/// The field by its number, or a system field by its code.
fn field<'f>(fields: &'f [Field], entry: &Object, path: &str) -> Result<&'f Field, Refusal> {
    let id = number(entry, path, "field_id")?;
    let code = text(entry, path, "field_code")?;
    let found = match id {
        Some(id) => fields.iter().find(|field| field.id == id),
        None => fields.iter().find(|field| code.is_some() && field.code.as_deref() == code),
    };
    found.ok_or_else(|| Refusal::of_choice(at(path, "field_id")))
}

struct Reader<'a> {
    call: &'a Call<'a>,
    field: &'a Field,
}

impl Reader<'_> {
    fn read(&self, values: &[Value], path: &str) -> Result<Vec<FieldValue>, Refusal> {
        let mut read = Vec::new();
        for (place, value) in values.iter().enumerate() {
            let path = at(path, place);
            let value = value.as_object().ok_or_else(|| Refusal::of_type(&path))?;
            only(value, &path, &["value", "enum_id", "enum_code"])?;
            read.extend(self.one(value, &path)?);
        }
        if self.field.kind == FieldKind::SmartAddress {
            read.sort_by_key(|value| value.subtype);
        }
        let holds_many =
            matches!(self.field.kind, FieldKind::Multitext | FieldKind::Multiselect | FieldKind::SmartAddress);
        if read.len() > 1 && !holds_many {
            return Err(Refusal::new("TooMany", path, "This field takes one value."));
        }
        Ok(read)
    }

    /// One value; `None` for an empty one, which clears.
    fn one(&self, sent_value: &Object, path: &str) -> Result<Option<FieldValue>, Refusal> {
        let place = at(path, "value");
        if matches!(self.field.kind, FieldKind::Select | FieldKind::Radio | FieldKind::Multiselect) {
            return self.choice(sent_value, path).map(Some);
        }
        let value = match sent(sent_value, "value") {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(value) => value,
        };
        let text = match (self.field.kind, value) {
            (FieldKind::Checkbox, Value::Bool(on)) => return Ok(Some(FieldValue::plain(if *on { "1" } else { "0" }))),
            (FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday, value) => {
                let moment = moment(value).ok_or_else(|| Refusal::of_type(&place))?;
                return Ok(Some(FieldValue::plain(moment.to_string())));
            }
            (FieldKind::Numeric, Value::Number(number)) => number.to_string(),
            (FieldKind::Checkbox, _) => return Err(Refusal::of_type(place)),
            (_, Value::String(text)) => text.clone(),
            _ => return Err(Refusal::of_type(place)),
        };
        if self.field.kind == FieldKind::Numeric && !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Refusal::of_type(place));
        }
        if !texts::fits(self.call, self.field, &text) {
            return Err(Refusal::new("TooLong", place, "This value is too long."));
        }
        let Some(text) = texts::kept(self.call, &text) else { return Ok(None) };
        self.of_kind(sent_value, text, path).map(Some)
    }

    /// A phone or an e-mail with its kind, the first one when not sent; a part of an address; else a bare text.
    fn of_kind(&self, sent_value: &Object, text: String, path: &str) -> Result<FieldValue, Refusal> {
        let (id, code) = (number(sent_value, path, "enum_id")?, super::text(sent_value, path, "enum_code")?);
        match self.field.kind {
            FieldKind::Multitext => {
                let choice = match (id, code) {
                    (None, None) => self.field.choices.first(),
                    (id, code) => self.named(id, code),
                };
                let choice = choice.ok_or_else(|| Refusal::of_choice(at(path, "enum_id")))?;
                Ok(FieldValue::chosen(text, choice.id))
            }
            FieldKind::SmartAddress => {
                let by_code = |code| ADDRESS_PARTS.iter().position(|part| *part == code).map(|place| place + 1);
                let part = id.and_then(|id| usize::try_from(id).ok()).or_else(|| code.and_then(by_code));
                let part = part.filter(|part| (1..=ADDRESS_PARTS.len()).contains(part));
                let part = part.and_then(|part| u8::try_from(part).ok());
                let part = part.ok_or_else(|| Refusal::of_choice(at(path, "enum_id")))?;
                Ok(FieldValue { value: text, choice_id: None, subtype: Some(part) })
            }
            _ => Ok(FieldValue::plain(text)),
        }
    }

    /// A choice by its number, its code or its text.
    fn choice(&self, sent_value: &Object, path: &str) -> Result<FieldValue, Refusal> {
        let id = number(sent_value, path, "enum_id")?;
        let code = text(sent_value, path, "enum_code")?;
        let by_text = text(sent_value, path, "value")?;
        let choice = self.named(id, code.or(by_text)).ok_or_else(|| Refusal::of_choice(at(path, "enum_id")))?;
        Ok(FieldValue::chosen(choice.value.clone(), choice.id))
    }

    fn named(&self, id: Option<u64>, code: Option<&str>) -> Option<&Choice> {
        match id {
            Some(id) => self.field.choice(id),
            None => code.and_then(|code| self.field.choice_named(code)),
        }
    }
}

/// Unix seconds, or RFC 3339.
fn moment(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_second))
}
