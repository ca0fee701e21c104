//! The account with what an administrator set up: fields, pipelines, users.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::listing::{Sheet, sheet};
use super::read::type_name;
use super::{list_of, problem, self_link};
use crate::amo::account::{Field, FieldKind, Pipeline, RIGHTS, User, is_closing};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::state::patch::RecordKind;
use crate::amo::state::world::World;
use crate::http::Response;

/// `GET /api/v4/account`.
pub(super) fn get(world: &World, call: &Call) -> Response {
    let account = &world.account;
    let mut body = json!({
        "id": account.id,
        "name": account.name,
        "subdomain": account.subdomain,
        "country": "RU",
        "currency": account.currency,
        "current_user_id": account.current_user,
        "customers_mode": "disabled",
        "is_unsorted_on": false,
        "is_loss_reason_enabled": false,
        "is_helpbot_enabled": false,
        "is_technical_account": false,
        "contact_name_display_order": 1,
        "_links": self_link("/api/v4/account"),
    });
    if let Some(flag) = call.options.v4.filters_flag.filter(|_| call.has_with("is_api_filter_enabled")) {
        body["is_api_filter_enabled"] = flag.into();
    }
    if call.has_with("datetime_settings") {
        let now = Timestamp::from_millisecond(call.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let offset = now.to_zoned(world.zone.clone()).strftime("%:z").to_string();
        body["_embedded"]["datetime_settings"] = json!({
            "date_pattern": "d.m.Y H:i", "short_date_pattern": "d.m.Y", "time_format": "H:i:s",
            "timezone": account.timezone, "timezone_offset": offset,
        });
    }
    if call.has_with("users_groups") {
        let groups = account.groups.iter().map(|(id, name)| json!({ "id": id, "name": name, "uuid": null }));
        body["_embedded"]["users_groups"] = groups.collect();
    }
    if call.has_with("version") {
        body["version"] = 12.into();
    }
    if call.has_with("task_types") {
        let types = account.task_types.iter().map(|(id, name)| json!({ "id": id, "name": name }));
        body["_embedded"]["task_types"] = types.collect();
    }
    answer::json(call, 200, &body)
}

/// `GET /api/v4/{kind}/custom_fields`.
pub(super) fn custom_fields(world: &World, call: &Call, kind: RecordKind) -> Response {
    let fields = world.fields_of(kind).iter().zip(1_u64..);
    let sheet = Sheet::of(call, call.options.v4.custom_fields_rows);
    sheet.answer(call, "custom_fields", fields, |(field, sort)| field_item(field, sort, kind))
}

fn field_item(field: &Field, sort: u64, kind: RecordKind) -> Value {
    let coded = field.kind == FieldKind::Multitext;
    let choices = field.choices.iter().zip(1_u64..).map(|(choice, sort)| {
        let mut item = json!({ "id": choice.id, "value": choice.value, "sort": sort });
        if coded {
            item["code"] = choice.value.clone().into();
        }
        item
    });
    let choices: Vec<Value> = choices.collect();
    json!({
        "id": field.id,
        "name": field.name,
        "type": type_name(field.kind),
        "account_id": null,
        "code": field.code,
        "sort": sort,
        "is_api_only": false,
        "enums": if choices.is_empty() { Value::Null } else { choices.into() },
        "is_predefined": field.is_system,
        "entity_type": list_of(kind),
    })
}

/// `GET /api/v4/leads/pipelines`.
pub(super) fn pipelines(world: &World, call: &Call) -> Response {
    let items: Vec<Value> = world.account.pipelines.values().map(pipeline).collect();
    let body = json!({
        "_total_items": items.len(),
        "_links": self_link("/api/v4/leads/pipelines"),
        "_embedded": { "pipelines": items },
    });
    answer::json(call, 200, &body)
}

/// `GET /api/v4/leads/pipelines`, one of them by its id.
pub(super) fn one_pipeline(world: &World, call: &Call, id: &str) -> Response {
    let found = id.parse().ok().and_then(|id: u64| world.account.pipelines.get(&id));
    found.map_or_else(
        || problem(call, 404, "the pipeline was not found"),
        |found| answer::json(call, 200, &pipeline(found)),
    )
}

fn pipeline(pipeline: &Pipeline) -> Value {
    let statuses = pipeline.statuses.iter().map(|status| {
        json!({
            "id": status.id, "name": status.name, "sort": status.sort, "is_editable": !is_closing(status.id),
            "pipeline_id": pipeline.id, "color": "#99ccff", "type": 0,
        })
    });
    json!({
        "id": pipeline.id,
        "name": pipeline.name,
        "sort": pipeline.id,
        "is_main": pipeline.is_main,
        "is_unsorted_on": false,
        "is_archive": false,
        "_embedded": { "statuses": statuses.collect::<Vec<_>>() },
    })
}

/// `GET /api/v4/users`: for administrators.
pub(super) fn users(world: &World, call: &Call) -> Response {
    if !call.options.v4.shows_users {
        return problem(call, 403, "no rights to see the users");
    }
    sheet(call).answer(call, "users", world.account.users.values(), user)
}

/// `GET /api/v4/users`, one of them by its id: for administrators.
pub(super) fn one_user(world: &World, call: &Call, id: &str) -> Response {
    if !call.options.v4.shows_users {
        return problem(call, 403, "no rights to see the users");
    }
    let found = id.parse().ok().and_then(|id: u64| world.account.users.get(&id));
    found.map_or_else(|| problem(call, 404, "the user was not found"), |found| answer::json(call, 200, &user(found)))
}

fn rights(user: &User) -> Value {
    let of = |record: &str| RIGHTS.map(|verb| (verb.to_owned(), Value::from(user.right(&format!("{record}_{verb}")))));
    let of = |record: &str| of(record).into_iter().collect::<Value>();
    json!({
        "contacts": of("contact"), "leads": of("lead"), "companies": of("company"),
        "is_admin": user.is_admin, "is_free": user.is_free, "is_active": user.is_active, "group_id": user.group_id,
    })
}

fn user(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "email": user.login,
        "lang": "ru",
        "rights": rights(user),
    })
}
