//! Custom fields as they are written: every field sent is replaced as a whole.

use std::collections::BTreeMap;

use serde_json::Value;

use super::batch::Fault;
use super::wire::{self, Object};
use super::{Call, dates};
use crate::amo::account::{Field, FieldKind};
use crate::amo::state::records::FieldValue;
use crate::amo::state::world::World;
use crate::amo::texts::{self, ADDRESS_PARTS};

/// The error numbers of one kind of record.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldCodes {
    /// There is no such field.
    pub(super) unknown: u16,
    /// The value does not suit the field.
    pub(super) unfit: u16,
}

/// A field without the key `values` (error codes page, 238).
const NO_VALUES: u16 = 238;

/// Wrong structure (error codes page, 400).
const BAD_STRUCTURE: u16 = 400;

/// Reads `custom_fields`: the new values of each field sent.
pub(super) fn parse(
    world: &World,
    call: &Call,
    fields: &[Field],
    codes: FieldCodes,
    sent: &Value,
) -> Result<BTreeMap<u64, Vec<FieldValue>>, Fault> {
    let mut parsed = BTreeMap::new();
    for item in entries(sent)? {
        let (field, values) = field_and_values(fields, codes, item)?;
        let reader = Reader { world, call, field, unfit: codes.unfit };
        parsed.insert(field.id, reader.read(values)?);
    }
    Ok(parsed)
}

/// The first field of an item that the account does not have.
pub(super) fn unknown_in(fields: &[Field], item: &Value) -> Option<u64> {
    let sent = item.get("custom_fields")?.as_array()?;
    let ids = sent.iter().filter_map(|entry| entry.get("id").and_then(wire::number));
    ids.into_iter().find(|id| fields.iter().all(|field| field.id != *id))
}

fn entries(sent: &Value) -> Result<Vec<&Object>, Fault> {
    let bad = || Fault::new(BAD_STRUCTURE, "custom_fields must be a list of objects");
    match sent {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) if map.is_empty() => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(|item| item.as_object().ok_or_else(bad)).collect(),
        _ => Err(bad()),
    }
}

fn field_and_values<'a>(
    fields: &'a [Field],
    codes: FieldCodes,
    item: &'a Object,
) -> Result<(&'a Field, Vec<&'a Value>), Fault> {
    let id = item.get("id").and_then(wire::number);
    let id = id.ok_or_else(|| Fault::new(BAD_STRUCTURE, "a custom field needs an id"))?;
    let field = fields.iter().find(|field| field.id == id);
    let field = field.ok_or_else(|| Fault::new(codes.unknown, format!("custom field {id} was not found")))?;
    let values = item.get("values").ok_or_else(|| Fault::new(NO_VALUES, format!("custom field {id} has no value")))?;
    let values = match values {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        single => vec![single],
    };
    Ok((field, values))
}

/// Reads the values of one field.
struct Reader<'a> {
    world: &'a World,
    call: &'a Call<'a>,
    field: &'a Field,
    unfit: u16,
}

impl Reader<'_> {
    fn read(&self, values: Vec<&Value>) -> Result<Vec<FieldValue>, Fault> {
        let read: Result<Vec<Option<FieldValue>>, Fault> =
            values.into_iter().map(|value| self.read_one(value)).collect();
        let mut read: Vec<FieldValue> = read?.into_iter().flatten().collect();
        if self.field.kind == FieldKind::SmartAddress {
            read.sort_by_key(|value| value.subtype);
        }
        let holds_many =
            matches!(self.field.kind, FieldKind::Multitext | FieldKind::Multiselect | FieldKind::SmartAddress);
        if read.len() > 1 && !holds_many {
            return Err(self.refusal("takes one value"));
        }
        Ok(read)
    }

    /// One value; `None` for an empty one, which clears.
    fn read_one(&self, sent: &Value) -> Result<Option<FieldValue>, Fault> {
        let value = sent.get("value").unwrap_or(sent);
        let text = match value {
            Value::Null => String::new(),
            Value::Object(_) if sent.get("enum").is_some() => String::new(),
            other => wire::text(other).ok_or_else(|| self.refusal("takes no such value"))?,
        };
        if text.is_empty() && sent.get("enum").is_none_or(|_| !self.is_list()) {
            return Ok(None);
        }
        match self.field.kind {
            FieldKind::Select | FieldKind::Radio | FieldKind::Multiselect => self.choice(sent, value).map(Some),
            FieldKind::Multitext => self.kind_of_text(sent, &text),
            FieldKind::SmartAddress => self.address_part(sent, &text),
            FieldKind::Checkbox => {
                let on = wire::flag(value).ok_or_else(|| self.refusal("is on or off"))?;
                Ok(Some(FieldValue::plain(if on { "1" } else { "0" })))
            }
            _ => Ok(self.checked_text(&text)?.map(FieldValue::plain)),
        }
    }

    fn is_list(&self) -> bool {
        matches!(self.field.kind, FieldKind::Select | FieldKind::Radio | FieldKind::Multiselect)
    }

    /// A choice by its number: bare, as `value`, or as `enum`. Its text is not accepted.
    fn choice(&self, sent: &Value, value: &Value) -> Result<FieldValue, Fault> {
        let id = sent.get("enum").and_then(wire::number).or_else(|| wire::number(value));
        let choice = id.and_then(|id| self.field.choice(id));
        let choice = choice.ok_or_else(|| self.refusal("has no such choice"))?;
        Ok(FieldValue::chosen(choice.value.clone(), choice.id))
    }

    /// A phone or an e-mail; its kind goes by name and is the first one when not sent.
    fn kind_of_text(&self, sent: &Value, text: &str) -> Result<Option<FieldValue>, Fault> {
        let choice = match sent.get("enum") {
            None | Some(Value::Null) => self.field.choices.first(),
            Some(name) => self.named_kind(name),
        };
        let choice = choice.ok_or_else(|| self.refusal("has no such kind"))?;
        let text = self.checked_text(text)?;
        Ok(text.map(|text| FieldValue::chosen(text, choice.id)))
    }

    fn named_kind(&self, name: &Value) -> Option<&crate::amo::account::Choice> {
        let by_id = || {
            let accepts = self.call.options.writing.multitext_accepts_choice_ids;
            wire::number(name).filter(|_| accepts).and_then(|id| self.field.choice(id))
        };
        name.as_str().and_then(|name| self.field.choice_named(name)).or_else(by_id)
    }

    fn address_part(&self, sent: &Value, text: &str) -> Result<Option<FieldValue>, Fault> {
        let name = sent.get("subtype").and_then(Value::as_str).unwrap_or_default();
        let subtype = (1..=6).zip(ADDRESS_PARTS).find(|(_, part)| *part == name);
        let (subtype, _) = subtype.ok_or_else(|| self.refusal("has no such subtype"))?;
        let text = self.checked_text(text)?;
        Ok(text.map(|value| FieldValue { value, choice_id: None, subtype: Some(subtype) }))
    }

    /// A text that suits the field, as it will be stored; `None` when nothing of it is.
    fn checked_text(&self, text: &str) -> Result<Option<String>, Fault> {
        let suits = match self.field.kind {
            FieldKind::Numeric => text.parse::<f64>().is_ok_and(f64::is_finite),
            FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday => {
                dates::local(text, &self.world.zone).is_some()
            }
            _ => texts::fits(self.call, self.field, text),
        };
        if !suits {
            return Err(self.refusal("does not take this value"));
        }
        Ok(texts::kept(self.call, text))
    }

    fn refusal(&self, reason: &str) -> Fault {
        Fault::new(self.unfit, format!("custom field {} {reason}", self.field.id))
    }
}
