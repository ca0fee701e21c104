//! `POST {"add":[…],"update":[…]}`: item by item, with errors beside successes inside one 200.

use serde_json::{Value, json};

use super::wire::{self, Object};
use super::{Call, answer};
use crate::amo::options::{ItemErrors, UnknownField, WriteTime};
use crate::amo::state::world::World;
use crate::http::Response;

/// The message of the optimistic lock, as recorded.
pub(super) const STALE: &str = "Last modified date is older than in database";

/// Why an item was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// amoCRM's number (v2 error codes page).
    pub(super) code: u16,
    /// Words for a person.
    pub(super) text: String,
}

impl Fault {
    pub(super) fn new(code: u16, text: impl Into<String>) -> Self {
        Fault { code, text: text.into() }
    }
}

/// An item that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) id: u64,
    pub(super) updated_at: i64,
}

/// The errors of requests that carry no items.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchCodes {
    /// Neither `add` nor `update`.
    pub(super) no_request: u16,
    /// `add` is empty.
    pub(super) nothing_to_add: u16,
    /// `update` is empty.
    pub(super) nothing_to_update: u16,
}

/// One kind of record as v2 offers it.
pub(super) trait Subject {
    /// Its address.
    const PATH: &'static str;
    /// Its errors for requests without items.
    const CODES: BatchCodes;

    /// `GET`.
    fn list(world: &World, call: &Call) -> Response;
    /// One item of `add`.
    fn add(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault>;
    /// One item of `update`.
    fn update(world: &mut World, call: &Call, item: &Object) -> Result<Done, Fault>;
    /// A custom field of the item that the account does not have.
    fn unknown_field(_world: &World, _item: &Value) -> Option<u64> {
        None
    }
}

/// The items of a request.
struct Batch {
    add: Vec<Value>,
    update: Vec<Value>,
}

/// Writes a batch and answers it.
pub(super) fn post<S: Subject>(world: &mut World, call: &Call) -> Response {
    let batch = match parse::<S>(call) {
        Ok(batch) => batch,
        Err(fault) => return answer::problem(call, 400, fault.code, &fault.text),
    };
    let writing = &call.options.writing;
    let items = batch.add.len() + batch.update.len();
    if items > writing.max_batch_items {
        return answer::problem(call, 400, 400, "too many items in one request");
    }
    if let Some(fault) = refusal_of_all::<S>(world, call, &batch) {
        return answer::problem(call, 400, fault.code, &fault.text);
    }
    let times_out = writing.gateway_timeout_above.is_some_and(|most| items > most);
    if times_out && !writing.gateway_timeout_writes {
        return answer::gateway_timeout(call);
    }
    let body = write::<S>(world, call, &batch);
    if times_out { answer::gateway_timeout(call) } else { answer::json(call, 200, &body) }
}

fn parse<S: Subject>(call: &Call) -> Result<Batch, Fault> {
    let not_json = |_| Fault::new(102, "the request must be JSON");
    let body: Value = serde_json::from_slice(&call.request.body).map_err(not_json)?;
    let add = items_of(&body, "add")?;
    let update = items_of(&body, "update")?;
    match (&add, &update) {
        (None, None) => Err(Fault::new(S::CODES.no_request, "the request is empty")),
        (Some(add), None) if add.is_empty() => Err(Fault::new(S::CODES.nothing_to_add, "nothing to add")),
        (_, Some(update)) if update.is_empty() && add.as_ref().is_none_or(Vec::is_empty) => {
            Err(Fault::new(S::CODES.nothing_to_update, "nothing to update"))
        }
        _ => Ok(Batch { add: add.unwrap_or_default(), update: update.unwrap_or_default() }),
    }
}

fn items_of(body: &Value, key: &str) -> Result<Option<Vec<Value>>, Fault> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.clone())),
        Some(_) => Err(Fault::new(400, format!("{key} must be a list"))),
    }
}

fn refusal_of_all<S: Subject>(world: &World, call: &Call, batch: &Batch) -> Option<Fault> {
    if call.options.writing.unknown_field == UnknownField::RefusesItem {
        return None;
    }
    let items = batch.add.iter().chain(&batch.update);
    let unknown = items.into_iter().find_map(|item| S::unknown_field(world, item))?;
    Some(Fault::new(400, format!("custom field {unknown} was not found")))
}

fn write<S: Subject>(world: &mut World, call: &Call, batch: &Batch) -> Value {
    let mut report = Report::default();
    for (index, item) in batch.add.iter().enumerate() {
        let result = object(item).and_then(|item| S::add(world, call, item));
        report.add(world, call, S::PATH, Place { key: "add", index, item }, result);
    }
    for (index, item) in batch.update.iter().enumerate() {
        let result = object(item).and_then(|item| S::update(world, call, item));
        report.add(world, call, S::PATH, Place { key: "update", index, item }, result);
    }
    report.into_body(call, S::PATH)
}

fn object(item: &Value) -> Result<&Object, Fault> {
    item.as_object().ok_or_else(|| Fault::new(400, "an item must be an object"))
}

/// Where in the request an item stands.
struct Place<'a> {
    key: &'static str,
    index: usize,
    item: &'a Value,
}

impl Place<'_> {
    /// What errors are filed under: the id of an update, else the position.
    fn name(&self) -> String {
        let id = self.item.get("id").and_then(wire::number).filter(|_| self.key == "update");
        id.map_or_else(|| self.index.to_string(), |id| id.to_string())
    }
}

/// What became of the items.
#[derive(Default)]
struct Report {
    items: Vec<Value>,
    errors: Vec<(&'static str, String, Fault)>,
}

impl Report {
    fn add(&mut self, world: &mut World, call: &Call, path: &str, place: Place, result: Result<Done, Fault>) {
        let sent = place.item.get("request_id").filter(|id| !id.is_null()).cloned();
        let request_id = sent.unwrap_or_else(|| world.take_request_id().into());
        match result {
            Ok(done) => self.items.push(written(call, path, done, request_id)),
            Err(fault) => self.errors.push((place.key, place.name(), fault)),
        }
    }

    fn into_body(self, call: &Call, path: &str) -> Value {
        let mut embedded = json!({ "items": self.items });
        if !self.errors.is_empty() {
            embedded["errors"] = errors(call, &self.errors);
        }
        let mut body = json!({ "_embedded": embedded });
        body[answer::write_links_key(call)] = answer::links(path, "post");
        body
    }
}

fn written(call: &Call, path: &str, done: Done, request_id: Value) -> Value {
    let mut item = json!({ "id": done.id, "request_id": request_id });
    match call.options.shapes.write_time {
        WriteTime::Seconds => item["updated_at"] = done.updated_at.into(),
        WriteTime::Milliseconds => item["updated_at"] = done.updated_at.saturating_mul(1_000).into(),
        WriteTime::Absent => {}
    }
    item[answer::write_links_key(call)] = answer::record_links(path, [done.id]);
    item
}

fn errors(call: &Call, errors: &[(&'static str, String, Fault)]) -> Value {
    let mut grouped = json!({});
    for (key, name, fault) in errors {
        match call.options.shapes.item_errors {
            ItemErrors::Map => grouped[key][name] = fault.text.clone().into(),
            ItemErrors::List => {
                let entry = json!({ "code": fault.code, "message": fault.text, "id": name });
                match &mut grouped[key] {
                    Value::Array(list) => list.push(entry),
                    nothing => *nothing = json!([entry]),
                }
            }
        }
    }
    grouped
}
