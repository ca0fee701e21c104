//! Contacts, leads and companies: listed, read one by one, made and changed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::batch::{self, Checked};
use super::listing::{CardFilter, address, order, sheet, written};
use super::{
    Refusal, fields, list_of, missing, number, only, problem, read, self_link, sent, single, single_answer, text, time,
    user,
};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::state::patch::{Patch, RecordKind, Stage, TagName};
use crate::amo::state::records::{Card, Element, ElementKind};
use crate::amo::state::table::{Carded, Row, Table};
use crate::amo::state::world::World;
use crate::amo::texts;
use crate::amo::wire::Object;
use crate::http::Response;

/// Members of every kind.
const COMMON: [&str; 11] = [
    "id",
    "name",
    "responsible_user_id",
    "created_by",
    "updated_by",
    "created_at",
    "updated_at",
    "custom_fields_values",
    "_embedded",
    "request_id",
    "is_need_to_trigger_digital_pipeline",
];
/// Members of contacts alone.
const OF_CONTACTS: [&str; 2] = ["first_name", "last_name"];
/// Members of leads alone.
const OF_LEADS: [&str; 5] = ["price", "status_id", "pipeline_id", "loss_reason_id", "closed_at"];
/// Members of changes alone (tags page).
const OF_CHANGES: [&str; 2] = ["tags_to_add", "tags_to_delete"];

/// Members that only reading has: clients that send a whole record back send them too.
const READ_ONLY: [&str; 11] = [
    "group_id",
    "closest_task_at",
    "is_deleted",
    "is_unsorted",
    "account_id",
    "_links",
    "score",
    "labor_cost",
    "source_id",
    "is_price_modified_by_robot",
    "loss_reason",
];

/// `/api/v4/{kind}`.
pub(super) fn serve(world: &mut World, call: &Call, kind: RecordKind) -> Response {
    match call.request.method.as_str() {
        "GET" => match kind {
            RecordKind::Contact => list(call, kind, &world.contacts, |row| read::contact(world, call, row, false)),
            RecordKind::Lead => list(call, kind, &world.leads, |row| read::lead(world, call, row)),
            RecordKind::Company => list(call, kind, &world.companies, |row| read::company(world, call, row)),
        },
        "POST" => write(world, call, kind, false),
        "PATCH" => write(world, call, kind, true),
        _ => problem(call, 405, "this method is not supported here"),
    }
}

/// `/api/v4/{kind}/{id}`. A change is a single object here, and a list is refused.
pub(super) fn serve_one(world: &mut World, call: &Call, kind: RecordKind, id: u64) -> Response {
    match call.request.method.as_str() {
        "GET" => one(world, call, kind, id).map_or_else(|| missing(call), |item| answer::json(call, 200, &item)),
        "PATCH" => patch_one(world, call, kind, id),
        _ => problem(call, 405, "this method is not supported here"),
    }
}

fn list<T: Row + Carded>(call: &Call, kind: RecordKind, table: &Table<T>, item: impl FnMut(&T) -> Value) -> Response {
    let filter = CardFilter::of(call);
    let rows = table.ordered(order(call)).filter(|row| filter.keeps(call, table, row));
    sheet(call).answer(call, list_of(kind), rows, item)
}

fn one(world: &World, call: &Call, kind: RecordKind, id: u64) -> Option<Value> {
    let buried = call.options.v4.shows_deleted;
    match kind {
        RecordKind::Contact => match world.contacts.get(id) {
            Some(row) => Some(read::contact(world, call, row, false)),
            None => world.contacts.get_deleted(id).filter(|_| buried).map(|row| read::contact(world, call, row, true)),
        },
        RecordKind::Lead => {
            let row = world.leads.get(id).or_else(|| world.leads.get_deleted(id).filter(|_| buried))?;
            Some(read::lead(world, call, row))
        }
        RecordKind::Company => world.companies.get(id).map(|row| read::company(world, call, row)),
    }
}

fn write(world: &mut World, call: &Call, kind: RecordKind, is_change: bool) -> Response {
    let items = match batch::items(call) {
        Ok(items) => items,
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |world, item| check(world, call, kind, item, is_change));
    result.map_or_else(|response| response, |items| written(call, list_of(kind), items))
}

fn patch_one(world: &mut World, call: &Call, kind: RecordKind, id: u64) -> Response {
    let items = match single(call, id) {
        Ok(item) => [item],
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |world, item| check(world, call, kind, item, true));
    result.map_or_else(|response| response, |items| single_answer(call, items))
}

/// Checks one item; what comes back writes it.
fn check<'a>(
    world: &World,
    call: &'a Call<'a>,
    kind: RecordKind,
    item: &'a Object,
    is_change: bool,
) -> Result<Checked<'a>, Refusal> {
    let own: &[&str] = match kind {
        RecordKind::Contact => &OF_CONTACTS,
        RecordKind::Lead => &OF_LEADS,
        RecordKind::Company => &[],
    };
    let changes: &[&str] = if is_change { &OF_CHANGES } else { &[] };
    let echoed: &[&str] = if is_change && !call.options.v4.refuses_echo { &READ_ONLY } else { &[] };
    only(item, "", &[&COMMON, own, changes, echoed].concat())?;
    let card = if is_change { Some(stored(world, call, kind, item)?) } else { None };
    let patch = patch(world, call, kind, item, card)?;
    let id = card.map(|card| card.id);
    Ok(Box::new(move |world| match id {
        Some(id) => change(world, call, kind, id, patch),
        None => {
            let id = world.create(kind, patch, call.author, call.now_ms);
            json!({ "id": id, "_links": self_link(&address(kind, id)) })
        }
    }))
}

fn change(world: &mut World, call: &Call, kind: RecordKind, id: u64, patch: Patch) -> Value {
    let updated_at = world.update(kind, id, patch, call.author, call.now_ms);
    let name = card_of(world, kind, id).map(|card| card.name.clone());
    json!({ "id": id, "name": name, "updated_at": updated_at, "_links": self_link(&address(kind, id)) })
}

fn card_of(world: &World, kind: RecordKind, id: u64) -> Option<&Card> {
    match kind {
        RecordKind::Contact => world.contacts.get(id).map(|row| &row.card),
        RecordKind::Lead => world.leads.get(id).map(|row| &row.card),
        RecordKind::Company => world.companies.get(id).map(|row| &row.card),
    }
}

/// The record a change is about.
fn stored<'w>(world: &'w World, call: &Call, kind: RecordKind, item: &Object) -> Result<&'w Card, Refusal> {
    let id =
        number(item, "", "id")?.ok_or_else(|| Refusal::new("NotBlank", "id", "This value should not be blank."))?;
    let card = card_of(world, kind, id);
    let card = card.ok_or_else(|| Refusal::new("NotFound", "id", "The entity was not found."))?;
    let is_stale = time(item, "updated_at")?.is_some_and(|at| at <= card.updated_at);
    if call.options.v4.locks && is_stale {
        return Err(Refusal::new("InvalidValue", "updated_at", "Last modified date is older than in database"));
    }
    Ok(card)
}

fn patch(world: &World, call: &Call, kind: RecordKind, item: &Object, card: Option<&Card>) -> Result<Patch, Refusal> {
    let words = |key| text(item, "", key).map(|text| text.map(|text| texts::stored(call, text.trim())));
    let price = sent(item, "price").map(|price| price.as_i64().ok_or_else(|| Refusal::of_type("price")));
    Ok(Patch {
        name: words("name")?,
        first_name: words("first_name")?,
        last_name: words("last_name")?,
        responsible_user_id: user(world, call, item, "responsible_user_id")?,
        created_by: number(item, "", "created_by")?,
        created_at: time(item, "created_at")?,
        updated_at: time(item, "updated_at")?,
        tags: tags(item, card)?,
        fields: fields::parse(call, world.fields_of(kind), item)?,
        company_name: None,
        links: links(world, call, kind, item, card.is_some())?,
        unlinks: Vec::new(),
        stage: stage(world, item, card.map(|card| card.id))?,
        price: price.transpose()?,
    })
}

/// The new set: all that are embedded, else the old ones with what is added and without what is deleted.
fn tags(item: &Object, card: Option<&Card>) -> Result<Option<Vec<TagName>>, Refusal> {
    let embedded = item.get("_embedded").and_then(|embedded| embedded.get("tags"));
    if let Some(tags) = embedded {
        return if tags.is_null() { Ok(Some(Vec::new())) } else { names(tags, "_embedded.tags").map(Some) };
    }
    let listed = |key| sent(item, key).map_or(Ok(Vec::new()), |tags| names(tags, key));
    let (added, deleted) = (listed("tags_to_add")?, listed("tags_to_delete")?);
    if added.is_empty() && deleted.is_empty() {
        return Ok(None);
    }
    let held = card.map(|card| card.tags.as_slice()).unwrap_or_default().iter();
    let is_kept = |tag: &&crate::amo::state::records::Tag| {
        !deleted.contains(&TagName::Text(tag.name.clone())) && !deleted.contains(&TagName::Id(tag.id))
    };
    let kept = held.filter(is_kept).map(|tag| TagName::Text(tag.name.clone()));
    Ok(Some(kept.chain(added.iter().cloned()).collect()))
}

fn names(tags: &Value, path: &str) -> Result<Vec<TagName>, Refusal> {
    let name = |tag: &Value| {
        let by_id = tag.get("id").and_then(Value::as_u64).map(TagName::Id);
        by_id.or_else(|| tag.get("name").and_then(Value::as_str).map(|name| TagName::Text(name.to_owned())))
    };
    let names: Option<Vec<TagName>> = tags.as_array().and_then(|tags| tags.iter().map(name).collect());
    names.ok_or_else(|| Refusal::of_type(path))
}

/// The records a new lead is linked to; nothing but tags may be embedded elsewhere.
fn links(
    world: &World,
    call: &Call,
    kind: RecordKind,
    item: &Object,
    is_change: bool,
) -> Result<Vec<Element>, Refusal> {
    let Some(embedded) = sent(item, "_embedded") else { return Ok(Vec::new()) };
    let embedded = embedded.as_object().ok_or_else(|| Refusal::of_type("_embedded"))?;
    let takes_links = kind == RecordKind::Lead && !is_change;
    let echoes = is_change && !call.options.v4.refuses_echo;
    let known: &[&str] = match (takes_links, echoes) {
        (true, _) => &["tags", "contacts", "companies"],
        (false, true) => &["tags", "contacts", "companies", "leads", "customers", "catalog_elements", "loss_reason"],
        (false, false) => &["tags"],
    };
    only(embedded, "_embedded", known)?;
    if !takes_links {
        return Ok(Vec::new());
    }
    let kinds = BTreeMap::from([("contacts", ElementKind::Contact), ("companies", ElementKind::Company)]);
    let mut found = Vec::new();
    for (name, kind) in kinds {
        for linked in sent(embedded, name).and_then(Value::as_array).into_iter().flatten() {
            let id = linked.get("id").and_then(Value::as_u64).ok_or_else(|| Refusal::of_type(name))?;
            found.push(Element { kind, id });
        }
    }
    match found.iter().all(|element| world.exists(*element)) {
        true => Ok(found),
        false => Err(Refusal::of_choice("_embedded")),
    }
}

/// The stage meant: with the closing ones the pipeline is sent too, else it stays the lead's own.
fn stage(world: &World, item: &Object, id: Option<u64>) -> Result<Option<Stage>, Refusal> {
    let (status, pipeline) = (number(item, "", "status_id")?, number(item, "", "pipeline_id")?);
    let account = &world.account;
    let held = id.and_then(|id| world.leads.get(id)).map(|lead| lead.pipeline_id);
    let found = |pipeline: u64, status: Option<u64>| {
        let pipeline = account.pipelines.get(&pipeline)?;
        let status = match status {
            Some(id) => pipeline.status(id)?,
            None => pipeline.statuses.first()?,
        };
        Some(Stage { pipeline_id: pipeline.id, status_id: status.id })
    };
    let stage = match (status, pipeline) {
        (None, None) => return Ok(None),
        (status, Some(pipeline)) => found(pipeline, status),
        (Some(status), None) => {
            let by_status = account.pipeline_of(status).map(|pipeline| pipeline.id);
            let main = || account.main_pipeline().map(|pipeline| pipeline.id);
            by_status.or(held).or_else(main).and_then(|pipeline| found(pipeline, Some(status)))
        }
    };
    stage.map(Some).ok_or_else(|| Refusal::of_choice("status_id"))
}
