//! Actions that write to people: `message`, `whatsapp_message`, `broadcast`.

use serde_json::Value;

use super::Salebot;
use super::answer::{Answer, error_answer};
use super::arguments::{Arguments, as_id};
use super::project::messenger;
use super::routes::Call;
use super::state::{Attachment, Content, Sending};

/// `attachment_type` (Salebot API page, "Параметры отправки сообщения").
const ATTACHMENT_TYPES: [&str; 5] = ["image", "video", "link", "file", "audio"];
/// Default `shift` of a broadcast, seconds between messages (Salebot API page).
const BROADCAST_SHIFT_S: f64 = 0.2;

impl Salebot {
    /// `message`.
    pub(super) fn message(&mut self, call: &Call) -> Answer {
        let client_id = self.known_client(call, "client_id")?;
        self.message_to(call, client_id)
    }

    /// `whatsapp_message`: finds the client or makes it.
    pub(super) fn whatsapp_message(&mut self, call: &Call) -> Answer {
        let pointed = call.arguments.filled("client_phone");
        let phone = call.arguments.filled("phone").or(pointed).ok_or_else(|| error_answer("phone required"))?;
        self.content(&call.arguments)?;
        let group = self.bot_group(messenger::WHATSAPP, call.arguments.filled("whatsapp_bot_id"));
        let made = group.and_then(|group| self.find_or_make(call.now_ms, messenger::WHATSAPP, &phone, &group));
        let client_id = made.ok_or_else(|| self.options.client_not_found())?;
        self.message_to(call, client_id)
    }

    fn message_to(&mut self, call: &Call, client_id: i64) -> Answer {
        let content = self.content(&call.arguments)?;
        let due_ms = self.due_ms(call.now_ms, &call.arguments)?;
        let resume_bot = call.arguments.flag("resume_bot");
        self.send_and_acknowledge(call.now_ms, due_ms, Sending::Message { client_id, content, resume_bot })
    }

    /// `broadcast`: to a list, to clients, or to messenger ids of one bot.
    pub(super) fn broadcast(&mut self, call: &Call) -> Answer {
        let content = self.content(&call.arguments)?;
        let start_ms = self.due_ms(call.now_ms, &call.arguments)?;
        let shift_s = call.arguments.number("shift").unwrap_or(BROADCAST_SHIFT_S).clamp(0.0, 86_400.0);
        let audience = self.audience(call)?;
        // Refused as a whole rather than broken off in the middle.
        if self.scheduled.len() + audience.len() > self.options.schedule_limit {
            return Err(error_answer("too many timed messages"));
        }
        let mut due_ms = start_ms;
        for client_id in audience {
            let content = content.clone();
            self.send_at(call.now_ms, due_ms, Sending::Message { client_id, content, resume_bot: false })?;
            due_ms += (shift_s * 1_000.0) as i64;
        }
        Ok(self.options.acknowledge())
    }

    fn audience(&self, call: &Call) -> Result<Vec<i64>, super::Response> {
        let arguments = &call.arguments;
        let list = arguments.id("list");
        let clients = arguments.list("clients");
        let platforms = arguments.list("platform_ids");
        match (list, clients, platforms) {
            (Some(list), None, None) => Ok(self.list_members(list)),
            (None, Some(clients), None) => {
                Ok(clients.iter().filter_map(as_id).filter(|id| self.clients.contains_key(id)).collect())
            }
            (None, None, Some(platforms)) => {
                let group = arguments.filled("group_id").ok_or_else(|| error_answer("group_id required"))?;
                Ok(self.platform_clients(platforms, Some(&group)).map(|client| client.id).collect())
            }
            (None, None, None) => Err(error_answer("no recipients")),
            _ => Err(error_answer("list, clients and platform_ids are mutually exclusive")),
        }
    }

    /// A text or a file, or a block that exists.
    fn content(&self, arguments: &Arguments) -> Result<Content, super::Response> {
        if let Some(buttons) = arguments.value("buttons")
            && !are_buttons(buttons)
        {
            return Err(error_answer("wrong buttons"));
        }
        let text = arguments.filled("message");
        let attachment = read_attachment(arguments)?;
        let block_id = match arguments.filled("message_id") {
            Some(_) => {
                let block = arguments.id("message_id").filter(|id| self.project.block(*id).is_some());
                Some(block.ok_or_else(|| error_answer("message_id not found"))?)
            }
            None => None,
        };
        if text.is_none() && attachment.is_none() && block_id.is_none() {
            return Err(error_answer("message required"));
        }
        Ok(Content { text, block_id, attachment })
    }
}

fn read_attachment(arguments: &Arguments) -> Result<Option<Attachment>, super::Response> {
    let Some(url) = arguments.filled("attachment_url") else { return Ok(None) };
    let kind = arguments.filled("attachment_type").filter(|kind| ATTACHMENT_TYPES.contains(&kind.as_str()));
    let kind = kind.ok_or_else(|| error_answer("attachment_type required"))?;
    Ok(Some(Attachment { url, kind }))
}

/// An array of buttons, or that array beside a hint for messengers without buttons.
fn are_buttons(value: &Value) -> bool {
    let inner = value.get("buttons").unwrap_or(value);
    inner
        .as_array()
        .is_some_and(|buttons| buttons.iter().all(|button| button.get("text").is_some_and(Value::is_string)))
}
