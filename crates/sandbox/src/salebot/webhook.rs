//! The project webhook: one body for each message in either direction.

use serde::Serialize;
use serde_json::{Value, json};

use super::Salebot;
use super::options::{AttachmentsForm, EmptyAttachments, FilledAttachments, FlagForm, NoErrorForm, SalebotOptions};
use super::state::{Attachment, Client, Message, Variables};

/// A POST the project owes its webhook address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The message it tells of.
    pub message_id: i64,
    /// Whose message.
    pub client_id: i64,
    /// JSON.
    pub body: Vec<u8>,
}

/// The members in the order of the official listing.
#[derive(Serialize)]
struct Body<'a> {
    id: Value,
    client: Person<'a>,
    message: Option<&'a str>,
    attachments: Value,
    message_id: Option<Value>,
    project_id: i64,
    is_input: Value,
    delivered: Value,
    error_message: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_id: Option<Option<&'a str>>,
}

#[derive(Serialize)]
struct Person<'a> {
    id: i64,
    recepient: &'a str,
    client_type: i64,
    name: Option<&'a str>,
    avatar: Option<&'a str>,
    created_at: Value,
    tag: Option<&'a str>,
    group: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<&'a Variables>,
}

impl Salebot {
    /// Queues the webhook of a client's latest message.
    pub(super) fn queue_webhook(&mut self, client_id: i64) {
        if !self.options.webhook.enabled {
            return;
        }
        let Some(client) = self.clients.get(&client_id) else { return };
        let Some(message) = client.history.last() else { return };
        let body = webhook_body(&self.options, client, message);
        self.webhooks.push_back(Webhook { message_id: message.id, client_id, body });
        while self.webhooks.len() > self.options.webhook.queue_limit {
            self.webhooks.pop_front();
            self.meter.webhook_dropped();
        }
    }
}

fn webhook_body(options: &SalebotOptions, client: &Client, message: &Message) -> Vec<u8> {
    let wire = options.webhook;
    let body = Body {
        id: options.number(message.id),
        client: person(options, client),
        message: message.text.as_deref(),
        attachments: attachments_value(wire.attachments, &message.attachments),
        message_id: message.block_id.map(|id| options.number(id)),
        project_id: options.project_id,
        is_input: flag_value(wire.flags, message.from_client),
        delivered: flag_value(wire.flags, message.error.is_none()),
        error_message: error_value(options.no_error, message.error.as_deref()),
        internal_id: wire.internal_id.then_some(message.internal_id.as_deref()),
    };
    serde_json::to_vec(&body).expect("maps with text keys and plain values always serialize")
}

fn person<'a>(options: &SalebotOptions, client: &'a Client) -> Person<'a> {
    Person {
        id: client.id,
        recepient: &client.platform_id,
        client_type: client.client_type,
        name: client.name.as_deref(),
        avatar: client.avatar.as_deref(),
        created_at: options.time(client.created_ms),
        tag: client.tag.as_deref(),
        group: &client.group,
        variables: options.webhook.variables.then_some(&client.variables),
    }
}

fn flag_value(form: FlagForm, set: bool) -> Value {
    match form {
        FlagForm::Number => Value::from(i64::from(set)),
        FlagForm::Boolean => Value::from(set),
        FlagForm::Text => Value::from(if set { "1" } else { "0" }),
    }
}

/// `error_message`, also of a message that arrived.
pub(super) fn error_value(form: NoErrorForm, error: Option<&str>) -> Value {
    match (error, form) {
        (Some(error), _) => Value::from(error),
        (None, NoErrorForm::Null) => Value::Null,
        (None, NoErrorForm::TrueText) => Value::from("true"),
        (None, NoErrorForm::FalseText) => Value::from("false"),
    }
}

/// `attachments` in one of its forms.
pub(super) fn attachments_value(form: AttachmentsForm, attachments: &[Attachment]) -> Value {
    if attachments.is_empty() {
        return match form.empty {
            EmptyAttachments::Null => Value::Null,
            EmptyAttachments::Array => json!([]),
            EmptyAttachments::Object => json!({}),
        };
    }
    let links = attachments.iter().map(|attachment| attachment.url.as_str());
    match form.filled {
        FilledAttachments::Links => links.collect(),
        FilledAttachments::Objects => attachments
            .iter()
            .map(|attachment| json!({ "attachment_url": attachment.url, "attachment_type": attachment.kind }))
            .collect(),
        FilledAttachments::PythonList => {
            let quoted: Vec<String> = links.map(|link| format!("'{}'", link.replace('\'', "\\'"))).collect();
            Value::from(format!("[{}]", quoted.join(", ")))
        }
    }
}
