//! Batches as v2 writes them: `{"add":[…]}` or `{"update":[…]}`, with refusals of single items inside a success.

use crate::ports::remote::Priority;
use crate::remote::amocrm::batch::{Dialect, Named, Verb};
use crate::remote::amocrm::loose::{Maybe, Unreadable, decode};
use crate::remote::amocrm::page::Envelope;
use crate::remote::http::{Call, RawAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

/// The batches of one path.
pub(super) struct Batches(pub(super) &'static str);

/// Refusals of single items inside a successful answer.
#[derive(Default, Deserialize)]
struct WriteErrors {
    #[serde(default)]
    add: Option<Value>,
    #[serde(default)]
    update: Option<Value>,
}

impl Dialect for Batches {
    fn call(&self, verb: Verb, items: Vec<&Value>, priority: Priority) -> Call {
        let body = json!({ name(verb): items }).to_string().into_bytes();
        Call::post(self.0, self.0, body, priority, verb == Verb::Update)
    }

    /// Changes are told apart by their id.
    fn request_id(&self, verb: Verb, key: u64) -> Option<Value> {
        (verb == Verb::Add).then(|| json!(key))
    }

    fn named(&self, verb: Verb, answer: &RawAnswer) -> Result<Named, Unreadable> {
        let envelope: Envelope = decode(String::from_utf8_lossy(&answer.body).trim())?;
        let Some(lists) = envelope.embedded.0 else { return Ok(Named::default()) };
        let items = lists.get("items").map_or(Ok(Default::default()), |raw| decode(raw.get()))?;
        let errors: Maybe<WriteErrors> = lists.get("errors").map_or(Ok(Maybe::default()), |raw| decode(raw.get()))?;
        let errors = errors.0.unwrap_or_default();
        Ok(Named::new(items, if verb == Verb::Add { errors.add } else { errors.update }))
    }
}

fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Add => "add",
        Verb::Update => "update",
    }
}
