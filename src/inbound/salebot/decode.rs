//! What a pushed body of Salebot means (Salebot API page, project webhook; Salebot reference, §3).

use crate::core::flex::{Flex, Kind, Notices, Object, Reading, attachments};
use crate::core::id::{ClientId, MessageId};
use crate::core::model::{Attachment, Client, Event, Message};
use crate::core::time::Millis;
use crate::ports::remote::Decoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Reads bodies in every form that was seen.
#[derive(Debug, Clone, Default)]
pub struct SalebotDecoder {
    notices: Notices,
}

/// What a first look at a body tells: enough to store it in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glance {
    /// A line of a dialogue, notices included.
    Line {
        /// Of the message, none without a message id.
        dedupe: Option<String>,
        client: ClientId,
        message: Option<MessageId>,
    },
    /// It names no client at all.
    Nobody,
    /// It cannot be read, and why.
    Broken(String),
}

/// Whom a body is about.
enum Person {
    Known(Client),
    Nobody,
    Unreadable,
}

impl SalebotDecoder {
    /// `notices` tells Salebot's own notices and our callbacks from messages.
    pub fn new(notices: Notices) -> SalebotDecoder {
        SalebotDecoder { notices }
    }

    pub(super) fn glance(&self, body: &[u8]) -> Glance {
        if let Some((message, client)) = plain_ids(body) {
            return Glance::Line { dedupe: Some(self.dedupe(message)), client, message: Some(message) };
        }
        let text = String::from_utf8_lossy(body);
        let object = match object(&text) {
            Ok(object) => object,
            Err(reason) => return Glance::Broken(reason),
        };
        match person(&object) {
            Person::Known(client) => {
                let message = message_id(&object);
                let dedupe = message.map(|message| self.dedupe(message));
                Glance::Line { dedupe, client: client.id, message }
            }
            Person::Nobody => Glance::Nobody,
            Person::Unreadable => Glance::Broken(UNREADABLE_CLIENT.to_owned()),
        }
    }

    fn event(&self, object: &Object<'_>, client: Client) -> Event {
        let text = object.get("message").and_then(Flex::scalar).filter(|text| !text.is_empty());
        match text.as_deref().map_or(Reading::Message, |text| self.notices.read(text)) {
            Reading::Notice(notice) => Event::Notice { client, id: message_id(object), notice },
            Reading::Ignored => Event::Nothing { reason: "a callback of ours, or a text that is to be ignored" },
            Reading::Message => Event::Message(message(object, client, text.map(Cow::into_owned))),
        }
    }
}

impl Decoder for SalebotDecoder {
    fn decode(&self, body: &[u8]) -> Result<Event, String> {
        let text = String::from_utf8_lossy(body);
        let object = object(&text)?;
        match person(&object) {
            Person::Known(client) => Ok(self.event(&object, client)),
            Person::Nobody => Ok(Event::Nothing { reason: "the body names no client" }),
            Person::Unreadable => Err(UNREADABLE_CLIENT.to_owned()),
        }
    }

    fn encode(&self, message: &Message, written_at: Millis) -> Vec<u8> {
        let client = &message.client;
        let body = json!({
            "id": message.id,
            "client": {
                "id": client.id,
                "recepient": client.platform_id,
                "client_type": client.messenger,
                "name": client.name,
                "created_at": client.created_at,
                "tag": client.tag,
                "group": client.group,
                "variables": message.variables,
            },
            "message": message.text,
            "attachments": message.attachments.iter().map(attachment_json).collect::<Vec<_>>(),
            "message_id": message.block,
            "is_input": i32::from(message.incoming),
            OWN: { WRITTEN_AT: written_at },
        });
        body.to_string().into_bytes()
    }

    /// Histories name no project, so the key does not either: a bridge has one, and a message's id
    /// is met in no other dialogue of it.
    fn dedupe(&self, message: MessageId) -> String {
        message.to_string()
    }
}

/// The member that the service never sends: what we know of a message that we wrote down ourselves.
const OWN: &str = "salebridge";
/// Milliseconds since the Unix epoch.
const WRITTEN_AT: &str = "written_at_ms";

/// A file may come with a kind alone.
fn attachment_json(attachment: &Attachment) -> Value {
    match (attachment.url.as_str(), &attachment.kind) {
        ("", kind) => json!({ "attachment_type": kind }),
        (url, None) => json!(url),
        (url, Some(kind)) => json!({ "attachment_url": url, "attachment_type": kind }),
    }
}

const UNREADABLE_CLIENT: &str = "at `client.id`: no readable id";

/// The ids of a body that has them as the page shows them: nearly all do, and nothing else of them is read before they are
/// stored. None for what takes a closer look.
fn plain_ids(body: &[u8]) -> Option<(MessageId, ClientId)> {
    #[derive(Deserialize)]
    struct Body<'a> {
        id: u64,
        #[serde(borrow)]
        client: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Person {
        id: u64,
    }
    // A struct is read from a list as well, which is no body.
    let is_object = |text: &[u8]| text.first() == Some(&b'{');
    let body: Body<'_> = is_object(body).then(|| serde_json::from_slice(body).ok())??;
    let client = body.client.get();
    let client: Person = is_object(client.as_bytes()).then(|| serde_json::from_str(client).ok())??;
    let is_id = |id: u64| id > 0 && i64::try_from(id).is_ok();
    (is_id(body.id) && is_id(client.id)).then_some((MessageId(body.id), ClientId(client.id)))
}

fn object(text: &str) -> Result<Object<'_>, String> {
    let text = text.trim_start_matches('\u{FEFF}').trim();
    if text.is_empty() {
        return Err("the body is empty".to_owned());
    }
    Object::parse(text).map_err(|error| format!("at the body: {error}"))
}

/// A `client` that is missing, null, empty or an empty object is nobody. A bare id is taken too.
fn person(object: &Object<'_>) -> Person {
    let Some(value) = object.some("client") else { return Person::Nobody };
    let client = match value.kind() {
        Kind::Object => value.object().and_then(|members| match members.is_empty() {
            true => None,
            false => Some(members.client()),
        }),
        _ => Some(value.id().map(|id| Client::unknown(ClientId(id)))).filter(|_| value.text().as_deref() != Some("")),
    };
    match client {
        None => Person::Nobody,
        Some(None) => Person::Unreadable,
        Some(Some(client)) => Person::Known(client),
    }
}

fn message(object: &Object<'_>, client: Client, text: Option<String>) -> Message {
    let variables = object.get("client").and_then(Flex::object).and_then(|client| client.get("variables")?.object());
    let block = object.id("message_id");
    Message {
        id: message_id(object),
        client,
        text,
        attachments: object.get("attachments").map(attachments).unwrap_or_default(),
        // Without the flag, what no bot's block wrote is kept as the person's: theirs must not be lost.
        incoming: object.get("is_input").and_then(Flex::truth).unwrap_or(block.is_none()),
        block,
        variables: variables.map(|variables| variables.variables()),
        written_at: object.get(OWN).and_then(Flex::object).and_then(|own| own.get(WRITTEN_AT)?.integer()).map(Millis),
    }
}

fn message_id(object: &Object<'_>) -> Option<MessageId> {
    object.id("id").map(MessageId)
}

#[cfg(test)]
mod tests;
