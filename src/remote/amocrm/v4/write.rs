//! Batches as v4 writes them: a bare list, POST to make and PATCH to change; refusals of single items come as
//! `validation-errors` of a 400 (v4 contacts page, answers).

use crate::ports::remote::Priority;
use crate::remote::amocrm::batch::{Dialect, Named, Verb};
use crate::remote::amocrm::fault;
use crate::remote::amocrm::loose::{List, Text, Unreadable, decode};
use crate::remote::amocrm::page::Envelope;
use crate::remote::http::{Call, Method, RawAnswer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The batches of one path.
pub(super) struct Batches {
    /// The path, also the route in the log.
    pub(super) path: &'static str,
    /// The list of the answer.
    pub(super) list: &'static str,
}

/// A 400 that names items.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default, rename = "validation-errors")]
    items: List<RefusedItem>,
}

#[derive(Deserialize)]
struct RefusedItem {
    #[serde(default)]
    request_id: Text,
    #[serde(default)]
    errors: List<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(default)]
    code: Text,
    #[serde(default)]
    path: Text,
    #[serde(default)]
    detail: Text,
}

impl Dialect for Batches {
    fn call(&self, verb: Verb, items: Vec<&Value>, priority: Priority) -> Call {
        let body = json!(items).to_string().into_bytes();
        let post = Call::post(self.path, self.path, body, priority, verb == Verb::Update);
        let method = if verb == Verb::Update { Method::Patch } else { Method::Post };
        Call { method, ..post }
    }

    /// A text; where none is sent, amoCRM names an item by its place.
    fn request_id(&self, _: Verb, key: u64) -> Option<Value> {
        Some(json!(key.to_string()))
    }

    fn named(&self, _: Verb, answer: &RawAnswer) -> Result<Named, Unreadable> {
        let text = String::from_utf8_lossy(&answer.body);
        if !answer.is_success() {
            return decode::<Refusal>(text.trim()).map(|refusal| Named::new(List::default(), refused(refusal)));
        }
        let envelope: Envelope = decode(text.trim())?;
        let Some(lists) = envelope.embedded.0 else { return Ok(Named::default()) };
        let rows = lists.get(self.list).map_or(Ok(List::default()), |raw| decode(raw.get()))?;
        Ok(Named::new(rows, None))
    }
}

/// The refused items by what names them.
fn refused(refusal: Refusal) -> Option<Value> {
    let named = |item: RefusedItem| (item.request_id.or_empty(), json!({ "message": words(item.errors.0) }));
    let items: Map<String, Value> = refusal.items.0.into_iter().map(named).collect();
    (!items.is_empty()).then_some(Value::Object(items))
}

/// What is wrong and where. The detail may quote what somebody typed: it serves where there is no code, and where it
/// has the words of v2's lock.
fn words(errors: Vec<ItemError>) -> String {
    let word = |error: ItemError| {
        let detail = error.detail.filled();
        let is_lock = detail.as_deref().is_some_and(fault::is_lock);
        let what = error.code.filled().filter(|_| !is_lock).or(detail).unwrap_or_default();
        match error.path.filled() {
            Some(path) => format!("{what} at {path}"),
            None => what,
        }
    };
    errors.into_iter().map(word).collect::<Vec<_>>().join(", ")
}
