//! Notes of contacts, leads and companies (events and notes page).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::batch::{self, Checked};
use super::listing::{Span, filter_ids, filter_texts, is_asked, order, sheet, written};
use super::{Refusal, missing, number, only, problem, self_link, sent, text, time, user};
use crate::sandbox::amo::call::Call;
use crate::sandbox::amo::state::patch::RecordKind;
use crate::sandbox::amo::state::records::{Element, Note};
use crate::sandbox::amo::state::table::Order;
use crate::sandbox::amo::state::world::World;
use crate::sandbox::amo::texts;
use crate::sandbox::amo::wire::Object;
use crate::sandbox::http::Response;

/// Types of notes by v2's number, v4's name and the parameters beside the text; these can be added.
const TYPES: [(u64, &str, &[&str]); 4] = [
    (4, "common", &[]),
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
    let mut params = note.params.clone();
    params.entry("text".to_owned()).or_insert_with(|| note.text.clone());
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
    let words = text(sent_params, "params", "text")?.map(|text| texts::stored(call, text));
    let words = words.filter(|text| !text.is_empty()).ok_or_else(|| blank("params.text"))?;
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
    sent.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
