//! Writes: a list of items, each checked; what is wrong with some of them comes as one 400.

use serde_json::{Value, json};

use super::{Refusal, problem, without_v2_clock};
use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::options::v4::{MixedBatch, RefusedBy};
use crate::amo::state::world::World;
use crate::amo::wire::Object;
use crate::http::Response;

/// The most items of a request (recommendations page: 250).
const MAX_ITEMS: usize = 250;

/// An item that was checked: what is to be done.
pub(super) type Checked<'a> = Box<dyn FnOnce(&mut World) -> Value + 'a>;

/// Reads the items of a request, or answers why not.
pub(super) fn items(call: &Call) -> Result<Vec<Value>, Response> {
    let Ok(body) = serde_json::from_slice::<Value>(&call.request.body) else {
        return Err(problem(call, 400, "the request must be JSON"));
    };
    let Value::Array(items) = body else {
        return Err(problem(call, 400, "the request must be a list"));
    };
    if items.is_empty() || items.len() > MAX_ITEMS.min(call.options.writing.max_batch_items) {
        return Err(problem(call, 400, "the list is empty or too long"));
    }
    Ok(items)
}

/// Checks every item, then writes: all of them, or, where one is refused, what the options say.
pub(super) fn write<'a>(
    world: &mut World,
    call: &'a Call<'a>,
    items: &'a [Value],
    check: impl Fn(&World, &'a Object) -> Result<Checked<'a>, Refusal>,
) -> Result<Vec<Value>, Response> {
    let writing = &call.options.writing;
    let times_out = writing.gateway_timeout_above.is_some_and(|most| items.len() > most);
    if times_out && !writing.gateway_timeout_writes {
        return Err(answer::gateway_timeout(call));
    }
    let mut written = Vec::new();
    let mut refused = Vec::new();
    let checked: Vec<_> = items.iter().map(|item| object(item).and_then(|item| check(world, item))).collect();
    let is_mixed = checked.iter().any(Result::is_err);
    for (place, (item, checked)) in items.iter().zip(checked).enumerate() {
        match checked {
            Err(refusal) => refused.push(refused_item(call, place, item, &refusal)),
            Ok(_) if is_mixed && call.options.v4.mixed_batch == MixedBatch::Nothing => {}
            Ok(write) => written.push(with_request_id(write(world), place, item)),
        }
    }
    if times_out {
        return Err(answer::gateway_timeout(call));
    }
    if refused.is_empty() { Ok(written) } else { Err(validation_errors(call, refused)) }
}

fn object(item: &Value) -> Result<&Object, Refusal> {
    item.as_object().ok_or_else(|| Refusal::of_type(""))
}

/// What names an item: what its sender called it, else its place.
fn name(place: usize, item: &Value) -> Value {
    item.get("request_id").filter(|id| !id.is_null()).cloned().unwrap_or_else(|| place.to_string().into())
}

fn with_request_id(mut written: Value, place: usize, item: &Value) -> Value {
    // Answers to changes do not have it (contacts page).
    if written.get("updated_at").is_none() {
        written["request_id"] = name(place, item);
    }
    written
}

fn refused_item(call: &Call, place: usize, item: &Value, refusal: &Refusal) -> Value {
    let name = match call.options.v4.refused_by {
        RefusedBy::RequestId => name(place, item),
        RefusedBy::Place => place.to_string().into(),
    };
    let Refusal { code, path, detail } = refusal;
    json!({ "request_id": name, "errors": [{ "code": code, "path": path, "detail": detail }] })
}

fn validation_errors(call: &Call, refused: Vec<Value>) -> Response {
    let body = json!({
        "validation-errors": refused,
        "title": "Bad Request",
        "type": "https://httpstatus.es/400",
        "status": 400,
        "detail": "Request validation failed",
    });
    without_v2_clock(answer::error(call, 400, &body))
}
