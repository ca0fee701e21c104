//! Notes of contacts, leads and companies (events and notes page).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::batch::{self, Checked};
use super::listing::{Span, filter_ids, filter_texts, is_asked, order, sheet, written};
use super::{Refusal, missing, number, only, problem, self_link, sent, single, single_answer, text, time, user};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::state::patch::RecordKind;
use crate::amo::state::records::{Element, Note};
use crate::amo::state::table::Order;
use crate::amo::state::world::World;
use crate::amo::texts;
use crate::amo::wire::Object;
use crate::http::Response;

/// The parameters of calls, which have no text.
const OF_CALLS: [&str; 6] = ["uniq", "duration", "source", "link", "phone", "call_responsible"];
/// Types of notes by v2's number, v4's name and the parameters beside the text; these can be added.
const TYPES: [(u64, &str, &[&str]); 6] = [
    (4, "common", &[]),
    (10, "call_in", &OF_CALLS),
    (11, "call_out", &OF_CALLS),
    (25, "service_message", &["service"]),
    (102, "sms_in", &["phone"]),
    (103, "sms_out", &["phone"]),
];

/// `/api/v4/{kind}/notes`, or `/api/v4/{kind}/{id}/notes` with a record.
pub(super) fn serve(world: &mut World, call: &Call, kind: RecordKind, id: Option<u64>) -> Response {
    if id.is_some_and(|id| !world.exists(kind.element(id))) {
        return missing(call);
    }
    match call.request.method.as_str() {
        "GET" => list(world, call, kind, id),
        "POST" => add(world, call, kind, id),
        "PATCH" => change(world, call, kind, id),
        _ => problem(call, 405, "this method is not supported here"),
    }
}

/// `/api/v4/{kind}/notes/{id}` and `/api/v4/{kind}/{id}/notes/{id}`.
pub(super) fn serve_one(world: &mut World, call: &Call, kind: RecordKind, record: Option<u64>, id: u64) -> Response {
    let element = kind.element(record.unwrap_or_default());
    let is_there = |note: &&Note| note.element.kind == element.kind && record.is_none_or(|id| note.element.id == id);
    let Some(found) = world.notes.get(id).filter(is_there) else { return missing(call) };
    match call.request.method.as_str() {
        "GET" => answer::json(call, 200, &item(world, found)),
        "PATCH" => {
            let items = match single(call, id) {
                Ok(item) => [item],
                Err(response) => return response,
            };
            let result = batch::write(world, call, &items, |world, item| changed(world, call, kind, record, item));
            result.map_or_else(|response| response, |items| single_answer(call, items))
        }
        _ => problem(call, 405, "this method is not supported here"),
    }
}

/// The filters of notes are not marked as being tried out: they are heeded.
fn list(world: &World, call: &Call, kind: RecordKind, id: Option<u64>) -> Response {
    let (ids, entities, types) =
        (filter_ids(call, "id"), filter_ids(call, "entity_id"), filter_texts(call, "note_type"));
    // A single value means "after" here, not "equal".
    let updated = Span::of(call, "updated_at", |at| (at, i64::MAX));
    let element_kind = kind.element(0).kind;
    let keeps = |note: &&Note| {
        note.element.kind == element_kind
            && id.is_none_or(|id| note.element.id == id)
            && is_asked(ids.as_ref(), &note.id)
            && is_asked(entities.as_ref(), &note.element.id)
            && is_asked(types.as_ref(), &type_name(note.note_type))
            && updated.contains(note.updated_at)
    };
    let rows: Box<dyn Iterator<Item = &Note>> = match id {
        Some(id) if matches!(order(call), Order::Own | Order::Id) => Box::new(world.notes_on(kind.element(id))),
        _ => world.notes.ordered(order(call)),
    };
    sheet(call).answer(call, "notes", rows.filter(keeps), |note| item(world, note))
}

fn type_name(number: u64) -> String {
    let named = TYPES.iter().find(|(known, _, _)| *known == number);
    named.map_or_else(|| format!("type_{number}"), |(_, name, _)| (*name).to_owned())
}

fn item(world: &World, note: &Note) -> Value {
    let shown = |(name, value): (&String, &String)| match value.parse::<u64>() {
        Ok(seconds) if name == "duration" => (name.clone(), Value::from(seconds)),
        _ => (name.clone(), Value::from(value.clone())),
    };
    let mut params: Object = note.params.iter().map(shown).collect();
    if !is_call(note.note_type) {
        params.entry("text").or_insert_with(|| note.text.clone().into());
    }
    json!({
        "id": note.id,
        "entity_id": note.element.id,
        "created_by": note.created_by,
        "updated_by": note.created_by,
        "created_at": note.created_at,
        "updated_at": note.updated_at,
        "responsible_user_id": note.responsible_user_id,
        "group_id": world.account.group_of(note.responsible_user_id),
        "note_type": type_name(note.note_type),
        "params": params,
        "account_id": world.account.id,
        "_links": self_link(&format!("/api/v4/notes/{}", note.id)),
    })
}

fn add(world: &mut World, call: &Call, kind: RecordKind, id: Option<u64>) -> Response {
    let items = match batch::items(call) {
        Ok(items) => items,
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |world, item| {
        let note = parse(world, call, kind, id, item)?;
        let write: Checked = Box::new(move |world| {
            let entity = note.element.id;
            json!({ "id": world.add_note(note, call.now_ms), "entity_id": entity })
        });
        Ok(write)
    });
    result.map_or_else(|response| response, |items| written(call, "notes", items))
}

fn change(world: &mut World, call: &Call, kind: RecordKind, record: Option<u64>) -> Response {
    let items = match batch::items(call) {
        Ok(items) => items,
        Err(response) => return response,
    };
    let result = batch::write(world, call, &items, |world, item| changed(world, call, kind, record, item));
    result.map_or_else(|response| response, |items| written(call, "notes", items))
}

/// A change of a note's text or parameters; its type and its record stay.
fn changed<'a>(
    world: &World,
    call: &'a Call<'a>,
    kind: RecordKind,
    record: Option<u64>,
    item: &Object,
) -> Result<Checked<'a>, Refusal> {
    only(item, "", &["id", "entity_id", "note_type", "params", "updated_at", "updated_by", "request_id"])?;
    let is_there = |note: &&Note| {
        note.element.kind == kind.element(0).kind && record.is_none_or(|record| note.element.id == record)
    };
    let note = number(item, "", "id")?.and_then(|id| world.notes.get(id)).filter(is_there);
    let mut note = note.ok_or_else(|| Refusal::new("NotFound", "id", "The note was not found."))?.clone();
    let sent_params = sent(item, "params").and_then(Value::as_object);
    if let Some(sent_params) = sent_params {
        let more = TYPES.iter().find(|(number, _, _)| *number == note.note_type).map_or(&[][..], |(_, _, more)| *more);
        only(sent_params, "params", &[&["text"], more].concat())?;
        match text(sent_params, "params", "text")?.map(|text| texts::stored(call, text)) {
            Some(words) if more.is_empty() => note.text = words,
            _ => note.params.extend(params(sent_params)),
        }
    }
    note.updated_at = time(item, "updated_at")?.unwrap_or(call.now_s());
    note.changed_at_ms = call.now_ms;
    Ok(Box::new(move |world| {
        let answer = json!({ "id": note.id, "entity_id": note.element.id, "updated_at": note.updated_at });
        world.notes.change(note.id, call.now_ms, |stored| *stored = note);
        answer
    }))
}

fn parse(world: &World, call: &Call, kind: RecordKind, id: Option<u64>, item: &Object) -> Result<Note, Refusal> {
    let members = [
        "entity_id",
        "note_type",
        "params",
        "created_by",
        "updated_by",
        "created_at",
        "updated_at",
        "responsible_user_id",
        "request_id",
        "is_need_to_trigger_digital_pipeline",
    ];
    only(item, "", &members)?;
    let blank = |path: &str| Refusal::new("NotBlank", path, "This value should not be blank.");
    let entity = id.or(number(item, "", "entity_id")?).ok_or_else(|| blank("entity_id"))?;
    let element: Element = kind.element(entity);
    if !world.exists(element) {
        return Err(Refusal::new("NotFound", "entity_id", "The entity was not found."));
    }
    let name = text(item, "", "note_type")?.ok_or_else(|| blank("note_type"))?;
    let known = TYPES.iter().find(|(_, known, _)| *known == name);
    let (note_type, _, more) = known.ok_or_else(|| Refusal::of_choice("note_type"))?;
    let sent_params = sent(item, "params").and_then(Value::as_object).ok_or_else(|| blank("params"))?;
    only(sent_params, "params", &[&["text"], *more].concat())?;
    let words = match text(sent_params, "params", "text")?.map(|text| texts::stored(call, text)) {
        Some(words) if !words.is_empty() => words,
        _ if is_call(*note_type) => String::new(),
        _ => return Err(blank("params.text")),
    };
    let (text, params) = if more.is_empty() { (words, BTreeMap::new()) } else { (String::new(), params(sent_params)) };
    let created_at = time(item, "created_at")?.unwrap_or(call.now_s());
    Ok(Note {
        id: 0,
        element,
        note_type: *note_type,
        text,
        params,
        created_at,
        updated_at: time(item, "updated_at")?.unwrap_or(created_at),
        created_by: number(item, "", "created_by")?.unwrap_or(call.author),
        responsible_user_id: user(world, call, item, "responsible_user_id")?.unwrap_or(call.author),
        changed_at_ms: call.now_ms,
    })
}

fn params(sent: &Object) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    sent.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

fn is_call(note_type: u64) -> bool {
    matches!(note_type, 10 | 11)
}
