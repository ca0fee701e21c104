//! API v4: its addresses, its JSON and its errors, over the records of [`super::state`].
//!
//! Written from amoCRM's own pages of the version; what they leave open is in [`super::options::v4`].

mod account;
mod batch;
mod cards;
mod events;
mod fields;
mod links;
mod listing;
mod notes;
mod read;
mod tags;
mod tasks;

use super::answer;
use super::call::Call;
use super::hooks::manage;
use super::options::v4::MissingRecord;
use super::state::patch::RecordKind;
use super::state::records::ElementKind;
use super::state::world::World;
use super::wire::Object;
use crate::http::Response;
use serde_json::Value;

/// Where all addresses begin.
const ROOT: &str = "/api/v4/";

/// Whether a request is one of this version.
pub(super) fn is_meant(call: &Call) -> bool {
    call.request.path.starts_with(ROOT)
}

/// Answers a request that passed the limit and carries a good token.
pub(super) fn serve(world: &mut World, call: &Call) -> Response {
    let path = call.request.path.trim_end_matches('/');
    let parts: Vec<&str> = path.strip_prefix(ROOT).unwrap_or_default().split('/').collect();
    let response = match (call.request.method.as_str(), parts.as_slice()) {
        ("GET", ["account"]) => account::get(world, call),
        ("GET", ["users"]) => account::users(world, call),
        ("GET", ["users", id]) => account::one_user(world, call, id),
        ("GET", ["leads", "pipelines"]) => account::pipelines(world, call),
        ("GET", ["leads", "pipelines", id]) => account::one_pipeline(world, call, id),
        ("GET", [kind, "custom_fields"]) => of_kind(call, kind, |kind| account::custom_fields(world, call, kind)),
        (_, ["webhooks"]) => manage::v4(world, call).unwrap_or_else(|(status, words)| problem(call, status, words)),
        ("GET", ["events"]) => events::list(world, call),
        (_, ["tasks"]) => tasks::serve(world, call),
        (_, ["tasks", id]) => of_number(call, id, |id| tasks::serve_one(world, call, id)),
        (_, [kind, "tags"]) => of_kind(call, kind, |kind| tags::serve(world, call, kind)),
        (_, [kind, "notes"]) => of_kind(call, kind, |kind| notes::serve(world, call, kind, None)),
        (_, [kind, "notes", id]) => of_record(call, kind, id, |kind, id| notes::serve_one(world, call, kind, None, id)),
        (_, [kind]) => of_kind(call, kind, |kind| cards::serve(world, call, kind)),
        (_, [kind, id]) => of_record(call, kind, id, |kind, id| cards::serve_one(world, call, kind, id)),
        (_, [kind, id, "notes"]) => of_record(call, kind, id, |kind, id| notes::serve(world, call, kind, Some(id))),
        (_, [kind, id, "notes", note]) => of_record(call, kind, id, |kind, id| {
            of_number(call, note, |note| notes::serve_one(world, call, kind, Some(id), note))
        }),
        (_, [kind, id, what]) => {
            of_record(call, kind, id, |kind, id| links::serve(world, call, kind.element(id), what))
        }
        _ => nothing_here(call),
    };
    without_v2_clock(response)
}

/// An error of the whole request.
pub(super) fn problem(call: &Call, status: u16, text: &str) -> Response {
    let body = serde_json::json!({
        "title": answer::title(status),
        "type": format!("https://httpstatus.es/{status}"),
        "status": status,
        "detail": text,
    });
    without_v2_clock(answer::error(call, status, &body))
}

/// The header with the server's clock is documented for v2 alone.
fn without_v2_clock(mut response: Response) -> Response {
    response.headers.retain(|(name, _)| name != "runtime-timestamp");
    response
}

fn nothing_here(call: &Call) -> Response {
    problem(call, 404, "there is nothing at this address")
}

fn of_kind(call: &Call, name: &str, serve: impl FnOnce(RecordKind) -> Response) -> Response {
    kind_named(name).map_or_else(|| nothing_here(call), serve)
}

fn of_record(call: &Call, name: &str, id: &str, serve: impl FnOnce(RecordKind, u64) -> Response) -> Response {
    match (kind_named(name), id.parse()) {
        (Some(kind), Ok(id)) => serve(kind, id),
        _ => nothing_here(call),
    }
}

fn of_number(call: &Call, id: &str, serve: impl FnOnce(u64) -> Response) -> Response {
    id.parse().map_or_else(|_| nothing_here(call), serve)
}

/// The item of a change at the address of one record: a single object, here with the record's id.
fn single(call: &Call, id: u64) -> Result<Value, Response> {
    match serde_json::from_slice::<Value>(&call.request.body) {
        Ok(Value::Object(mut item)) => {
            item.insert("id".into(), id.into());
            Ok(Value::Object(item))
        }
        Ok(_) => Err(problem(call, 405, "a list is not supported here")),
        Err(_) => Err(problem(call, 400, "the request must be JSON")),
    }
}

/// The answer to such a change: what a list of one would have answered for its only item.
fn single_answer(call: &Call, items: Vec<Value>) -> Response {
    answer::json(call, 200, &items.into_iter().next().unwrap_or_default())
}

/// The answer to the address of a record that does not exist.
fn missing(call: &Call) -> Response {
    match call.options.v4.missing {
        MissingRecord::NoContent => answer::empty(call, 204),
        MissingRecord::NotFound => problem(call, 404, "the record was not found"),
    }
}

/// The kinds of records by their names in addresses and links.
fn kind_named(name: &str) -> Option<RecordKind> {
    [RecordKind::Contact, RecordKind::Lead, RecordKind::Company].into_iter().find(|kind| list_of(*kind) == name)
}

/// The name of a kind in addresses and lists.
fn list_of(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Contact => "contacts",
        RecordKind::Lead => "leads",
        RecordKind::Company => "companies",
    }
}

/// The name of what a note or a task stands on.
fn entity_type(kind: ElementKind) -> &'static str {
    match kind {
        ElementKind::Contact => "contacts",
        ElementKind::Lead => "leads",
        ElementKind::Company => "companies",
        ElementKind::Task => "tasks",
        ElementKind::Customer => "customers",
    }
}

/// `{"self":{"href":…}}`.
fn self_link(path: &str) -> Value {
    serde_json::json!({ "self": { "href": format!("https://sandbox.example.test{path}") } })
}

/// Why an item was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    /// The service's word for it.
    code: &'static str,
    /// Where in the item.
    path: String,
    /// Words for a person.
    detail: String,
}

impl Refusal {
    fn new(code: &'static str, path: impl Into<String>, detail: &str) -> Self {
        Refusal { code, path: path.into(), detail: detail.to_owned() }
    }

    /// A value of the wrong type.
    fn of_type(path: impl Into<String>) -> Self {
        Refusal::new("InvalidType", path, "This value should be of another type.")
    }

    /// A value that is none of those that may stand there.
    fn of_choice(path: impl Into<String>) -> Self {
        Refusal::new("NotSupportedChoice", path, "The value you selected is not a valid choice.")
    }
}

/// Refuses members that do not belong there.
fn only(object: &Object, path: &str, known: &[&str]) -> Result<(), Refusal> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Refusal::new("FieldNotExpected", at(path, key), "This field was not expected.")),
        None => Ok(()),
    }
}

/// A place inside an item.
fn at(path: &str, key: impl std::fmt::Display) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// A member that is sent: `null` counts as not sent.
fn sent<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn text<'a>(object: &'a Object, path: &str, key: &str) -> Result<Option<&'a str>, Refusal> {
    sent(object, key).map(|value| value.as_str().ok_or_else(|| Refusal::of_type(at(path, key)))).transpose()
}

fn number(object: &Object, path: &str, key: &str) -> Result<Option<u64>, Refusal> {
    sent(object, key).map(|value| value.as_u64().ok_or_else(|| Refusal::of_type(at(path, key)))).transpose()
}

fn time(object: &Object, key: &str) -> Result<Option<i64>, Refusal> {
    sent(object, key).map(|value| whole(value).ok_or_else(|| Refusal::of_type(key))).transpose()
}

fn flag(object: &Object, key: &str) -> Result<Option<bool>, Refusal> {
    sent(object, key).map(|value| value.as_bool().ok_or_else(|| Refusal::of_type(key))).transpose()
}

/// A whole number; published clients send times as `1700000000.0`.
fn whole(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "far inside what an integer holds")]
    let from_float = |seconds: f64| (seconds.fract() == 0.0 && seconds.abs() < 1e12).then_some(seconds as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(from_float))
}

/// A user who may be in charge.
fn user(world: &World, call: &Call, object: &Object, key: &str) -> Result<Option<u64>, Refusal> {
    let Some(id) = number(object, "", key)? else { return Ok(None) };
    let is_active = world.account.users.get(&id).is_some_and(|user| user.is_active);
    if is_active || !call.options.writing.refuses_unknown_users { Ok(Some(id)) } else { Err(Refusal::of_choice(key)) }
}
