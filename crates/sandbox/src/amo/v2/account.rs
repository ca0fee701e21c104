//! `/api/v2/account` (amoCRM v2 account page).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::wire::Object;
use super::{Call, answer};
use crate::amo::account::{Account, Field, FieldKind, Pipeline, RIGHTS, User, is_closing};
use crate::amo::options::CollectionShape;
use crate::amo::state::world::World;
use crate::http::Response;

/// Its address.
pub(super) const PATH: &str = "/api/v2/account";

/// The types of notes that are known by name.
const NOTE_TYPES: [(u64, &str, bool); 8] = [
    (1, "DEAL_CREATED", false),
    (2, "CONTACT_CREATED", false),
    (3, "DEAL_STATUS_CHANGED", false),
    (4, "COMMON", true),
    (13, "TASK_RESULT", true),
    (25, "SYSTEM", false),
    (102, "SMS_IN", false),
    (103, "SMS_OUT", false),
];

/// Answers with the account and the parts named in `with`.
pub(super) fn get(world: &World, call: &Call) -> Response {
    let account = &world.account;
    let body = json!({
        "_links": answer::links(PATH, "get"),
        "id": account.id,
        "name": account.name,
        "subdomain": account.subdomain,
        "currency": account.currency,
        "timezone": account.timezone,
        "timezone_offset": offset(world, call),
        "language": "ru",
        "date_pattern": {
            "date": "d.m.Y",
            "time": "H:i",
            "date_time": "d.m.Y H:i",
            "time_full": "H:i:s",
        },
        "current_user": account.current_user,
        "_embedded": embedded(account, call),
    });
    answer::json(call, 200, &body)
}

fn offset(world: &World, call: &Call) -> String {
    let now = Timestamp::from_millisecond(call.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(world.zone.clone()).strftime("%:z").to_string()
}

fn embedded(account: &Account, call: &Call) -> Value {
    let mut parts = Object::new();
    if call.has_with("users") {
        parts.insert("users".into(), users(account, call));
    }
    if call.has_with("custom_fields") {
        parts.insert("custom_fields".into(), custom_fields(account, call));
    }
    if call.has_with("pipelines") {
        let pipelines = account.pipelines.values().map(|p| (p.id.to_string(), pipeline(p)));
        parts.insert("pipelines".into(), pipelines.collect());
    }
    if call.has_with("groups") {
        let groups = account.groups.iter().map(|(id, name)| json!({ "id": id, "name": name }));
        parts.insert("groups".into(), groups.collect());
    }
    if call.has_with("note_types") {
        let types = NOTE_TYPES
            .iter()
            .map(|(id, code, editable)| json!({ "id": id, "name": "", "code": code, "editable": editable }));
        parts.insert("note_types".into(), types.collect());
    }
    if call.has_with("task_types") {
        let types = account.task_types.iter().map(|(id, name)| json!({ "id": id, "name": name }));
        parts.insert("task_types".into(), types.collect());
    }
    Value::Object(parts)
}

fn users(account: &Account, call: &Call) -> Value {
    let shows_free = call.request.param("free_users") == Some("Y");
    let shown = account.users.values().filter(|user| shows_free || !user.is_free);
    shown.map(|user| (user.id.to_string(), user_item(user))).collect()
}

fn user_item(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "last_name": null,
        "login": user.login,
        "language": "ru",
        "group_id": user.group_id,
        "is_active": user.is_active,
        "is_free": user.is_free,
        "is_admin": user.is_admin,
        "rights": rights(user),
    })
}

fn rights(user: &User) -> Value {
    let names =
        ["lead", "contact", "company"].into_iter().flat_map(|record| RIGHTS.map(|verb| format!("{record}_{verb}")));
    names.map(|name| (name.clone(), Value::from(user.right(&name)))).collect()
}

fn custom_fields(account: &Account, call: &Call) -> Value {
    let list = |fields: &[Field]| {
        let items = fields.iter().zip(1..).map(|(field, sort)| (field.id, field_item(call, field, sort)));
        collection(call.options.shapes.account_fields, items.collect())
    };
    json!({
        "contacts": list(&account.fields.contacts),
        "leads": list(&account.fields.leads),
        "companies": list(&account.fields.companies),
        "customers": [],
    })
}

fn field_item(call: &Call, field: &Field, sort: u64) -> Value {
    let mut item = json!({
        "id": field.id,
        "name": field.name,
        "field_type": field.kind.number(),
        "sort": sort,
        "is_multiple": field.kind == FieldKind::Multitext,
        "is_system": field.is_system,
        "is_editable": true,
    });
    if let Some(code) = field.code.as_ref().filter(|_| call.options.shapes.account_field_codes) {
        item["code"] = code.clone().into();
    }
    if !field.choices.is_empty() {
        item["enums"] = choices(call, field);
    }
    item
}

fn choices(call: &Call, field: &Field) -> Value {
    let choices = field.choices.iter();
    match call.options.shapes.account_choices {
        CollectionShape::List => choices.map(|choice| json!({ "id": choice.id, "value": choice.value })).collect(),
        CollectionShape::Map => {
            choices.map(|choice| (choice.id.to_string(), Value::from(choice.value.clone()))).collect()
        }
    }
}

fn collection(shape: CollectionShape, items: Vec<(u64, Value)>) -> Value {
    match shape {
        CollectionShape::List => items.into_iter().map(|(_, item)| item).collect(),
        CollectionShape::Map => items.into_iter().map(|(id, item)| (id.to_string(), item)).collect(),
    }
}

fn pipeline(pipeline: &Pipeline) -> Value {
    let statuses = pipeline.statuses.iter().map(|status| {
        let item = json!({
            "id": status.id,
            "name": status.name,
            "color": "#99ccff",
            "sort": status.sort,
            "editable": !is_closing(status.id),
        });
        (status.id.to_string(), item)
    });
    let statuses: Object = statuses.collect();
    json!({
        "id": pipeline.id,
        "name": pipeline.name,
        "sort": pipeline.id,
        "is_main": pipeline.is_main,
        "statuses": statuses,
    })
}
