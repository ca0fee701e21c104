//! Actions on the project itself: channels, blocks, and the WhatsApp check.

use serde_json::{Map, Value, json};

use super::Salebot;
use super::answer::{Answer, error_answer, json_answer, success_with};
use super::index::digits;
use super::project::{Block, Channel, messenger};
use super::routes::Call;

/// Messengers that `connected_channels` names also when none is connected.
const ALWAYS_NAMED: [&str; 7] = ["viber", "facebook", "telegram", "whatsapp", "avito", "ok", "vkontakte"];

impl Salebot {
    /// `connected_channels`: one array for each messenger, and no `status`.
    pub(super) fn connected_channels(&mut self, _call: &Call) -> Answer {
        let mut body = Map::new();
        body.insert("project_id".to_owned(), Value::from(self.options.project_id));
        for name in ALWAYS_NAMED {
            body.insert(name.to_owned(), json!([]));
        }
        for channel in &self.project.channels {
            let entry = body.entry(channel.messenger).or_insert_with(|| json!([]));
            if let Some(rows) = entry.as_array_mut() {
                rows.push(channel_row(channel));
            }
        }
        Ok(json_answer(200, &body))
    }

    /// `get_messages`: the blocks of the scheme.
    pub(super) fn get_messages(&mut self, _call: &Call) -> Answer {
        let rows: Vec<Value> = self.project.blocks.iter().map(block_row).collect();
        Ok(success_with("messages", rows))
    }

    /// `check_whatsapp`: needs a connected WhatsApp; the phone may be written in any way.
    pub(super) fn check_whatsapp(&mut self, call: &Call) -> Answer {
        if self.project.first_channel(messenger::WHATSAPP).is_none() {
            return Err(error_answer("whatsapp is not connected"));
        }
        let phone = call.arguments.filled("phone").ok_or_else(|| error_answer("phone required"))?;
        let phone = digits(&phone);
        let has = (10..=15).contains(&phone.len()) && !self.phones_without_whatsapp.contains(&phone);
        Ok(success_with("result", has))
    }
}

/// Each messenger has members of its own beside `id` and `group_id`.
fn channel_row(channel: &Channel) -> Value {
    let mut row = json!({ "id": channel.id, "group_id": channel.group_id });
    match channel.client_type {
        messenger::VKONTAKTE => row["group"] = channel.group_id.clone(),
        kind => {
            row["name"] = Value::from(channel.name.as_str());
            row["enabled"] = Value::from(true);
            match kind {
                messenger::TELEGRAM => row["short_name"] = Value::from(channel.name.as_str()),
                messenger::VIBER => row["uri"] = Value::from(channel.name.as_str()),
                _ => {}
            }
        }
    }
    if let Some(status) = channel.status {
        row["status"] = Value::from(status);
    }
    row
}

fn block_row(block: &Block) -> Value {
    json!({
        "id": block.id,
        "condition": block.condition,
        "answer": block.answer,
        "message_type": block.message_type,
        "description": block.description,
    })
}
