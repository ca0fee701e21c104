//! Reading and writing variables of clients.

use super::envelope::{Content, Form};
use super::{CLIENTS_MAX, SalebotApi, pair};
use crate::core::fault::Fault;
use crate::core::flex::Object;
use crate::core::id::ClientId;
use crate::core::model::Variables;
use crate::ports::remote::Priority;
use serde_json::{Map, Value, json};

/// What tells a client's variable from an order's where it is written (Salebot API page,
/// `save_variables`).
const CLIENT_PREFIX: &str = "client.";

impl SalebotApi {
    /// An answer without any member is taken for an unknown client, not for a client without
    /// variables: known clients always carry built-in values, and the other reading would look like
    /// a person who lost everything.
    pub(super) async fn read_variables(
        &self,
        client: ClientId,
        priority: Priority,
    ) -> Result<Option<Variables>, Fault> {
        let reply = self.get("get_variables", vec![pair("client_id", client)], priority).await?;
        let text = reply.text();
        match reply.open(&text, Form::Flat) {
            Ok(Content::Object(object)) => Ok(variables(&object)),
            Ok(Content::List(items)) if items.is_empty() => Ok(None),
            Ok(_) => Err(reply.incomplete("its answer is no object")),
            Err(refusal) => self.missing_or_key(refusal, reply.action, priority).await.map(|()| None),
        }
    }

    /// Split at the size of a request; a repeat after a failure writes the same again.
    pub(super) async fn write_variables(
        &self,
        clients: &[ClientId],
        variables: &Variables,
        priority: Priority,
    ) -> Result<(), Fault> {
        if variables.is_empty() {
            return Ok(());
        }
        let values: Map<String, Value> =
            variables.iter().map(|(name, value)| (prefixed(name), Value::String(value.clone()))).collect();
        for chunk in clients.chunks(CLIENTS_MAX) {
            let body = match chunk {
                [client] => json!({ "client_id": client, "variables": values }),
                several => json!({ "clients": several, "variables": values }),
            };
            self.post_free("save_variables", &body, priority).await?.done()?;
        }
        Ok(())
    }
}

/// A flat object, or one under `variables` with or without an envelope around it. A text of that
/// name is a variable like any other.
fn variables(object: &Object<'_>) -> Option<Variables> {
    let inner = object.get("variables").and_then(|value| value.object());
    let object = inner.as_ref().unwrap_or(object);
    (!object.is_empty()).then(|| object.variables())
}

fn prefixed(name: &str) -> String {
    if name.starts_with(CLIENT_PREFIX) { name.to_owned() } else { format!("{CLIENT_PREFIX}{name}") }
}
