//! Records as they are read.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::listing::address;
use super::self_link;
use crate::amo::account::{Field, FieldKind};
use crate::amo::call::Call;
use crate::amo::dates;
use crate::amo::options::v4::Dates;
use crate::amo::state::patch::RecordKind;
use crate::amo::state::records::{Card, Company, Contact, FieldValue, Lead};
use crate::amo::state::world::World;
use crate::amo::texts::ADDRESS_PARTS;
use crate::amo::wire::Object;

/// A contact.
pub(super) fn contact(world: &World, call: &Call, contact: &Contact, is_deleted: bool) -> Value {
    let mut object = card(world, call, RecordKind::Contact, &contact.card, is_deleted);
    object.insert("first_name".into(), contact.first_name.clone().into());
    object.insert("last_name".into(), contact.last_name.clone().into());
    object.insert("is_unsorted".into(), false.into());
    let mut embedded = embedded(&contact.card, contact.company_id);
    if call.has_with("leads") {
        embedded["leads"] = contact.lead_ids.iter().map(|id| json!({ "id": id })).collect();
    }
    object.insert("_embedded".into(), embedded);
    Value::Object(object)
}

/// A lead.
pub(super) fn lead(world: &World, call: &Call, lead: &Lead) -> Value {
    let mut object = card(world, call, RecordKind::Lead, &lead.card, lead.is_deleted);
    object.insert("price".into(), lead.price.into());
    object.insert("status_id".into(), lead.status_id.into());
    object.insert("pipeline_id".into(), lead.pipeline_id.into());
    object.insert("loss_reason_id".into(), Value::Null);
    object.insert("closed_at".into(), if lead.closed_at == 0 { Value::Null } else { lead.closed_at.into() });
    let mut embedded = embedded(&lead.card, lead.company_id);
    if call.has_with("loss_reason") {
        embedded["loss_reason"] = json!([]);
    }
    if call.has_with("contacts") {
        // Contacts in the trash left the lead's side of the link.
        let live = lead.contact_ids.iter().filter(|id| world.contacts.contains(**id)).enumerate();
        embedded["contacts"] = live.map(|(place, id)| json!({ "id": id, "is_main": place == 0 })).collect();
    }
    object.insert("_embedded".into(), embedded);
    Value::Object(object)
}

/// A company.
pub(super) fn company(world: &World, call: &Call, company: &Company) -> Value {
    let mut object = card(world, call, RecordKind::Company, &company.card, false);
    let mut embedded = embedded(&company.card, None);
    for (name, ids) in [("contacts", &company.contact_ids), ("leads", &company.lead_ids)] {
        if call.has_with(name) {
            embedded[name] = ids.iter().map(|id| json!({ "id": id })).collect();
        }
    }
    object.insert("_embedded".into(), embedded);
    Value::Object(object)
}

fn embedded(card: &Card, company_id: Option<u64>) -> Value {
    let tags = card.tags.iter().map(|tag| json!({ "id": tag.id, "name": tag.name, "color": null }));
    let companies: Vec<Value> = company_id.into_iter().map(|id| json!({ "id": id })).collect();
    json!({ "tags": tags.collect::<Vec<_>>(), "companies": companies })
}

fn card(world: &World, call: &Call, kind: RecordKind, card: &Card, is_deleted: bool) -> Object {
    let closest = world.closest_task_at(kind.element(card.id));
    let mut object = Object::new();
    for (key, value) in [
        ("id", card.id.into()),
        ("name", card.name.clone().into()),
        ("responsible_user_id", card.responsible_user_id.into()),
        ("group_id", world.account.group_of(card.responsible_user_id).into()),
        ("created_by", card.created_by.into()),
        ("updated_by", card.updated_by.into()),
        ("created_at", card.created_at.into()),
        ("updated_at", card.updated_at.into()),
        ("closest_task_at", if closest == 0 { Value::Null } else { closest.into() }),
        ("is_deleted", is_deleted.into()),
        ("account_id", world.account.id.into()),
        ("custom_fields_values", custom_fields(world, call, card, world.fields_of(kind))),
        ("_links", self_link(&address(kind, card.id))),
    ] {
        object.insert(key.into(), value);
    }
    object
}

/// The filled fields; `null` where none is.
fn custom_fields(world: &World, call: &Call, card: &Card, fields: &[Field]) -> Value {
    let filled = fields.iter().filter_map(|field| {
        let values = card.fields.get(&field.id)?;
        Some(json!({
            "field_id": field.id,
            "field_name": field.name,
            "field_code": field.code,
            "field_type": type_name(field.kind),
            "values": values.iter().map(|value| field_value(world, call, field, value)).collect::<Vec<_>>(),
        }))
    });
    let filled: Vec<Value> = filled.collect();
    if filled.is_empty() { Value::Null } else { filled.into() }
}

fn field_value(world: &World, call: &Call, field: &Field, value: &FieldValue) -> Value {
    let shown = match field.kind {
        FieldKind::Checkbox => Value::from(value.value == "1"),
        FieldKind::Date | FieldKind::DateTime | FieldKind::Birthday => moment(world, call, &value.value),
        _ => Value::from(value.value.clone()),
    };
    let mut object = json!({ "value": shown });
    let code_key = if call.options.v4.sample_enums { "enum" } else { "enum_code" };
    if let Some(id) = value.choice_id {
        let is_list = field.kind != FieldKind::Multitext;
        let code = field.choice(id).filter(|_| !is_list).map(|choice| choice.value.clone());
        object["enum_id"] = id.into();
        object[code_key] = code.into();
    }
    if let Some(part) = value.subtype {
        object["enum_id"] = part.into();
        object[code_key] = ADDRESS_PARTS.get(usize::from(part).wrapping_sub(1)).copied().into();
    }
    object
}

fn moment(world: &World, call: &Call, text: &str) -> Value {
    let Some(unix_s) = dates::unix_s(text, &world.zone) else { return text.into() };
    match call.options.v4.dates {
        Dates::Unix => unix_s.into(),
        Dates::Rfc3339 => {
            let moment = Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(world.zone.clone());
            moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().into()
        }
    }
}

/// The `type` of a field.
pub(super) fn type_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Numeric => "numeric",
        FieldKind::Checkbox => "checkbox",
        FieldKind::Select => "select",
        FieldKind::Multiselect => "multiselect",
        FieldKind::Date => "date",
        FieldKind::Url => "url",
        FieldKind::Multitext => "multitext",
        FieldKind::Textarea => "textarea",
        FieldKind::Radio => "radiobutton",
        FieldKind::StreetAddress => "streetaddress",
        FieldKind::SmartAddress => "smart_address",
        FieldKind::Birthday => "birthday",
        FieldKind::DateTime => "date_time",
    }
}
