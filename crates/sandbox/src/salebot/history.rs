//! `get_history`, `clear_history`.

use serde_json::{Value, json};

use super::Salebot;
use super::answer::{Answer, error_answer, success_with};
use super::routes::Call;
use super::state::Message;
use super::webhook::{attachments_value, error_value};

/// Default and largest page of `get_history` (Salebot API page).
const HISTORY_LIMIT: i64 = 2_000;
const DAY_MS: i64 = 86_400_000;

impl Salebot {
    /// `get_history`: the newest messages, within both dates where they are given.
    pub(super) fn get_history(&mut self, call: &Call) -> Answer {
        let client_id = self.known_client(call, "client_id")?;
        let limit = call.arguments.id("limit").unwrap_or(HISTORY_LIMIT).clamp(0, HISTORY_LIMIT);
        let limit = usize::try_from(limit).unwrap_or(0);
        let (from_ms, until_ms) = self.period(call)?;
        let newest = self.history(client_id).iter().rev();
        let within = newest.filter(|message| message.at_ms >= from_ms && message.at_ms < until_ms);
        let mut result: Vec<Value> = within.take(limit).map(|message| self.history_row(message)).collect();
        if !self.options.history_newest_first {
            result.reverse();
        }
        Ok(success_with("result", result))
    }

    /// Whole days on the project's wall clock; both ends or neither.
    fn period(&self, call: &Call) -> Result<(i64, i64), super::Response> {
        match (call.arguments.filled("start_date"), call.arguments.filled("stop_date")) {
            (None, None) => Ok((i64::MIN, i64::MAX)),
            (Some(start), Some(stop)) => {
                let days = self.options.parse_day(&start).zip(self.options.parse_day(&stop));
                days.map(|(from_ms, last_ms)| (from_ms, last_ms + DAY_MS)).ok_or_else(|| error_answer("wrong date"))
            }
            _ => Err(error_answer("start_date and stop_date go together")),
        }
    }

    fn history_row(&self, message: &Message) -> Value {
        let operators = &self.project.operators;
        let operator = message.operator.as_ref().and_then(|email| operators.iter().find(|held| held.email == *email));
        json!({
            "id": self.options.number(message.id),
            "answered": true,
            "client_replica": message.from_client,
            "message_id": message.block_id.map(|id| self.options.number(id)),
            "message_from_outside": message.origin.number(),
            "created_at": self.options.time(message.at_ms),
            "text": message.text,
            "attachments": attachments_value(self.options.history_attachments, &message.attachments),
            "delivered": message.error.is_none(),
            "error_message": error_value(self.options.no_error, message.error.as_deref()),
            "manager_id": operator.map(|operator| operator.id),
            "manager_email": message.operator,
        })
    }

    /// `clear_history`.
    pub(super) fn clear_history(&mut self, call: &Call) -> Answer {
        let client_id = self.known_client(call, "client_id")?;
        if let Some(client) = self.clients.get_mut(&client_id) {
            client.history.clear();
        }
        Ok(self.options.acknowledge())
    }
}
