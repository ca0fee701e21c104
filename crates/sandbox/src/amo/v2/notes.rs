//! `/api/v2/notes` (amoCRM v2 notes page).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::batch::{BatchCodes, Done, Fault, STALE, Subject};
use super::cards::Form;
use super::listing::{self, Query};
use super::wire::{self, Object};
use super::{Call, answer};
use crate::amo::state::records::{Element, ElementKind, Note};
use crate::amo::state::world::World;
use crate::amo::texts;
use crate::http::Response;

/// Notes as v2 offers them.
pub(super) struct Notes;

/// A plain note.
const COMMON: u64 = 4;
/// The result of a task; the only type that stands on a task.
const TASK_RESULT: u64 = 13;
/// A message of a service, with the service's name.
const SERVICE: u64 = 25;
/// An SMS received.
const SMS_IN: u64 = 102;
/// An SMS sent.
const SMS_OUT: u64 = 103;

/// Wrong structure (error codes page, 400).
const BAD_STRUCTURE: u16 = 400;

impl Subject for Notes {
    const PATH: &'static str = "/api/v2/notes";
    const CODES: BatchCodes = BatchCodes { no_request: 222, nothing_to_add: 218, nothing_to_update: 224 };

    fn list(world: &World, call: &Call) -> Response {
        let Some(kind) = call.request.param("type").and_then(kind_named) else {
            return answer::problem(call, 400, 221, "type is required");
        };
        let query = Query::of(call);
        let rows = select(world, call, &query, kind);
        query.answer(call, rows.into_iter().map(|row| item(world, call, row)).collect())
    }

    fn add(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let note = parse(world, call, item)?;
        let updated_at = note.updated_at;
        Ok(Done { id: world.add_note(note, call.now_ms), updated_at })
    }

    fn update(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault> {
        let form = Form { world, call, item, code: BAD_STRUCTURE };
        let (Some(id), Some(updated_at)) = (form.number("id")?, form.time("updated_at")?) else {
            return Err(Fault::new(BAD_STRUCTURE, "id and updated_at are required"));
        };
        let note = world.notes.get(id);
        let note = note.ok_or_else(|| Fault::new(225, format!("note {id} was not found")))?;
        if updated_at < note.updated_at {
            return Err(Fault::new(BAD_STRUCTURE, STALE));
        }
        let words = has_words(item).then(|| words(call, item, note.note_type)).transpose()?;
        world.notes.change(id, call.now_ms, |note| {
            if let Some((text, params)) = words {
                note.text = text;
                note.params = params;
            }
            note.updated_at = updated_at;
            note.changed_at_ms = call.now_ms;
        });
        Ok(Done { id, updated_at })
    }
}

fn kind_named(name: &str) -> Option<ElementKind> {
    match name {
        "contact" => Some(ElementKind::Contact),
        "lead" => Some(ElementKind::Lead),
        "company" => Some(ElementKind::Company),
        "task" => Some(ElementKind::Task),
        _ => None,
    }
}

fn select<'w>(world: &'w World, call: &Call, query: &Query, kind: ElementKind) -> Vec<&'w Note> {
    let elements = listing::id_params(call, "element_id");
    let types = listing::id_params(call, "note_type");
    let suits = |note: &Note| note.element.kind == kind && listing::is_asked_for(types.as_ref(), note.note_type);
    match elements.filter(|_| query.ids.is_none()) {
        Some(ids) => {
            let rows = on_elements(world, kind, &ids);
            query.page(rows.filter(|row| query.is_visible(call, *row) && suits(row)))
        }
        None => query.select(call, &world.notes, suits),
    }
}

fn on_elements<'w>(world: &'w World, kind: ElementKind, ids: &BTreeSet<u64>) -> impl Iterator<Item = &'w Note> {
    let notes = ids.iter().flat_map(|&id| world.notes_on(Element { kind, id }));
    let ids: BTreeSet<u64> = notes.map(|note| note.id).collect();
    world.notes.pick(&ids).into_iter()
}

fn parse(world: &World, call: &Call, item: &Object) -> Result<Note, Fault> {
    let form = Form { world, call, item, code: BAD_STRUCTURE };
    let element = element(&form)?;
    let note_type = form.number("note_type")?;
    let note_type = note_type.ok_or_else(|| Fault::new(BAD_STRUCTURE, "note_type is required"))?;
    let is_addable = matches!(note_type, COMMON | TASK_RESULT | SERVICE | SMS_IN | SMS_OUT);
    if !is_addable || (element.kind == ElementKind::Task) != (note_type == TASK_RESULT) {
        return Err(Fault::new(232, "the element and the type of the note do not go together"));
    }
    let (text, params) = words(call, item, note_type)?;
    let created_at = form.time("created_at")?.unwrap_or(call.now_s());
    Ok(Note {
        id: 0,
        element,
        note_type,
        text,
        params,
        created_at,
        updated_at: form.time("updated_at")?.unwrap_or(created_at),
        created_by: form.number("created_by")?.unwrap_or(call.author),
        responsible_user_id: form.user("responsible_user_id")?.unwrap_or(call.author),
        changed_at_ms: call.now_ms,
    })
}

fn element(form: &Form) -> Result<Element, Fault> {
    let kind = form.number("element_type")?.and_then(ElementKind::from_number);
    let (Some(kind), Some(id)) = (kind, form.number("element_id")?) else {
        return Err(Fault::new(232, "element_id and element_type are required"));
    };
    let element = Element { kind, id };
    if form.world.exists(element) {
        return Ok(element);
    }
    let code = match kind {
        ElementKind::Contact => 233,
        ElementKind::Lead => 234,
        ElementKind::Company | ElementKind::Task | ElementKind::Customer => 226,
    };
    Err(Fault::new(code, format!("element {id} was not found")))
}

fn has_params(note_type: u64) -> bool {
    matches!(note_type, SERVICE | SMS_IN | SMS_OUT)
}

fn has_words(item: &Object) -> bool {
    item.contains_key("text") || item.contains_key("params")
}

/// The text, or the parameters for the types that have them.
fn words(call: &Call, item: &Object, note_type: u64) -> Result<(String, BTreeMap<String, String>), Fault> {
    let missing = || Fault::new(BAD_STRUCTURE, "the text of the note is required");
    let stored = |value: &Value| wire::text(value).map(|text| texts::stored(call, &text));
    if !has_params(note_type) {
        let text = item.get("text").and_then(stored).filter(|text| !text.is_empty());
        return text.map(|text| (text, BTreeMap::new())).ok_or_else(missing);
    }
    let sent = item.get("params").and_then(Value::as_object).ok_or_else(missing)?;
    let known = ["text", "service", "phone"].into_iter();
    let params: BTreeMap<String, String> =
        known.filter_map(|key| Some((key.to_owned(), stored(sent.get(key)?)?))).collect();
    if params.get("text").is_none_or(String::is_empty) {
        return Err(missing());
    }
    Ok((String::new(), params))
}

fn item(world: &World, call: &Call, note: &Note) -> Value {
    let mut item = json!({
        "id": note.id,
        "responsible_user_id": note.responsible_user_id,
        "created_by": note.created_by,
        "created_at": note.created_at,
        "updated_at": note.updated_at,
        "account_id": world.account.id,
        "group_id": world.account.group_of(note.responsible_user_id),
        "is_editable": matches!(note.note_type, COMMON | TASK_RESULT),
        "element_id": note.element.id,
        "element_type": note.element.kind.number(),
        "attachment": "",
        "note_type": note.note_type,
        "_links": answer::record_links(Notes::PATH, [note.id]),
    });
    if has_params(note.note_type) {
        item["params"] = params(call, note);
    } else {
        item["text"] = note.text.clone().into();
    }
    item
}

fn params(call: &Call, note: &Note) -> Value {
    let is_sms = matches!(note.note_type, SMS_IN | SMS_OUT);
    let upper = is_sms && call.options.shapes.sms_params_upper_case;
    let name = |key: &String| {
        if upper { key.to_uppercase() } else { key.clone() }
    };
    note.params.iter().map(|(key, text)| (name(key), Value::from(text.clone()))).collect()
}
