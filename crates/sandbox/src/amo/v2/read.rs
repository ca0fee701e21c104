//! Parts of records as they are read: links to other records, tags, custom fields.

use serde_json::{Value, json};

use super::wire::Object;
use super::{Call, answer, dates};
use crate::amo::account::{Field, FieldKind};
use crate::amo::options::{DateShape, EmptyShape, NumberShape};
use crate::amo::state::records::{Card, Element, FieldValue};
use crate::amo::state::world::World;

/// Puts a container in its place; `None` takes the chosen form of nothing.
pub(super) fn put(call: &Call, object: &mut Object, key: &str, content: Option<Value>) {
    let value = match (content, call.options.shapes.empty) {
        (Some(content), _) => content,
        (None, EmptyShape::Object) => json!({}),
        (None, EmptyShape::List) => json!([]),
        (None, EmptyShape::Null) => Value::Null,
        (None, EmptyShape::Absent) => return,
    };
    object.insert(key.to_owned(), value);
}

/// `{"id":[…],"_links":…}`.
pub(super) fn id_list(path: &str, ids: &[u64]) -> Option<Value> {
    let links = || answer::record_links(path, ids.iter().copied());
    (!ids.is_empty()).then(|| json!({ "id": ids, "_links": links() }))
}

/// The company of a contact or a lead.
pub(super) fn company(world: &World, id: Option<u64>) -> Option<Value> {
    let company = world.companies.get(id?)?;
    Some(json!({
        "id": company.card.id,
        "name": company.card.name,
        "_links": answer::record_links("/api/v2/companies", [company.card.id]),
    }))
}

/// What contacts, leads and companies have in common.
pub(super) fn card(world: &World, call: &Call, path: &str, element: Element, card: &Card, fields: &[Field]) -> Object {
    let mut object = Object::new();
    for (key, number) in [
        ("id", card.id),
        ("responsible_user_id", card.responsible_user_id),
        ("created_by", card.created_by),
        ("updated_by", card.updated_by),
        ("account_id", world.account.id),
        ("group_id", world.account.group_of(card.responsible_user_id)),
    ] {
        object.insert(key.into(), number.into());
    }
    object.insert("name".into(), card.name.clone().into());
    object.insert("created_at".into(), card.created_at.into());
    object.insert("updated_at".into(), card.updated_at.into());
    object.insert("closest_task_at".into(), world.closest_task_at(element).into());
    object.insert("_links".into(), answer::record_links(path, [card.id]));
    put(call, &mut object, "tags", tags(card));
    put(call, &mut object, "custom_fields", custom_fields(world, call, card, fields));
    object
}

fn tags(card: &Card) -> Option<Value> {
    let tags: Vec<Value> = card.tags.iter().map(|tag| json!({ "id": tag.id, "name": tag.name })).collect();
    (!tags.is_empty()).then_some(Value::Array(tags))
}

fn custom_fields(world: &World, call: &Call, card: &Card, fields: &[Field]) -> Option<Value> {
    let filled = fields.iter().filter_map(|field| {
        let values = card.fields.get(&field.id)?;
        Some(custom_field(world, call, field, values))
    });
    let filled: Vec<Value> = filled.collect();
    (!filled.is_empty()).then_some(Value::Array(filled))
}

fn custom_field(world: &World, call: &Call, field: &Field, values: &[FieldValue]) -> Value {
    let shapes = &call.options.shapes;
    let values: Vec<Value> = values.iter().map(|value| field_value(world, call, field, value)).collect();
    let mut object = Object::new();
    object.insert("id".into(), field.id.into());
    object.insert("name".into(), field.name.clone().into());
    object.insert("is_system".into(), field.is_system.into());
    object.insert("values".into(), values.into());
    if let Some(code) = field.code.as_ref().filter(|_| shapes.field_codes) {
        object.insert("code".into(), code.clone().into());
    }
    if shapes.field_types {
        object.insert("field_type".into(), field.kind.number().into());
    }
    Value::Object(object)
}

fn field_value(world: &World, call: &Call, field: &Field, value: &FieldValue) -> Value {
    let mut object = Object::new();
    object.insert("value".into(), shown(world, call, field, value).into());
    if let Some(id) = value.choice_id {
        let id = match call.options.shapes.choice_id {
            NumberShape::Text => id.to_string().into(),
            NumberShape::Number => id.into(),
        };
        object.insert("enum".into(), id);
    }
    if let Some(subtype) = value.subtype {
        object.insert("subtype".into(), subtype.to_string().into());
    }
    Value::Object(object)
}

fn shown(world: &World, call: &Call, field: &Field, value: &FieldValue) -> String {
    let is_date = matches!(field.kind, FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday);
    let local = match call.options.shapes.dates {
        DateShape::Local if is_date => dates::local(&value.value, &world.zone),
        DateShape::Local | DateShape::AsSent => None,
    };
    local.map_or_else(|| value.value.clone(), |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
