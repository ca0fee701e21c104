//! Sendings that wait for their time: `time_shift`, `send_time` and the pauses of a broadcast.

use super::Salebot;
use super::answer::{Answer, error_answer};
use super::arguments::Arguments;
use super::record::Draft;
use super::state::{Content, Origin, Sending};
use crate::http::Response;

impl Salebot {
    /// Sends what is due at this Unix time in milliseconds, each at the time it was due.
    pub fn advance(&mut self, now_ms: i64) {
        while let Some(entry) = self.scheduled.first_entry() {
            let (due_ms, _) = *entry.key();
            if due_ms > now_ms {
                break;
            }
            let sending = entry.remove();
            self.send(due_ms, sending);
        }
    }

    /// When the next timed sending is due, Unix milliseconds.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.scheduled.first_key_value().map(|((due_ms, _), _)| *due_ms)
    }

    /// When a request wants its message sent; `time_shift` wins over `send_time`.
    pub(super) fn due_ms(&self, now_ms: i64, arguments: &Arguments) -> Result<i64, Response> {
        if arguments.filled("time_shift").is_some() {
            let shift_s = arguments.number("time_shift").filter(|shift_s| (0.0..=1e9).contains(shift_s));
            let shift_s = shift_s.ok_or_else(|| error_answer("wrong time_shift"))?;
            return Ok(now_ms + (shift_s * 1_000.0) as i64);
        }
        match arguments.filled("send_time") {
            Some(text) => self.options.parse_send_time(&text).ok_or_else(|| error_answer("wrong send_time")),
            None => Ok(now_ms),
        }
    }

    /// Sends now what is due, and keeps the rest for later.
    pub(super) fn send_at(&mut self, now_ms: i64, due_ms: i64, sending: Sending) -> Result<(), Response> {
        if due_ms <= now_ms {
            self.send(now_ms, sending);
            return Ok(());
        }
        if self.scheduled.len() >= self.options.schedule_limit {
            return Err(error_answer("too many timed messages"));
        }
        self.scheduled.insert((due_ms, self.next_sending), sending);
        self.next_sending += 1;
        Ok(())
    }

    /// As [`Self::send_at`], then the bare success.
    pub(super) fn send_and_acknowledge(&mut self, now_ms: i64, due_ms: i64, sending: Sending) -> Answer {
        self.send_at(now_ms, due_ms, sending)?;
        Ok(self.options.acknowledge())
    }

    fn send(&mut self, at_ms: i64, sending: Sending) {
        match sending {
            Sending::Callback { client_id, text, resume_bot } => {
                self.receive_callback(at_ms, client_id, &text, resume_bot);
            }
            Sending::Message { client_id, content, resume_bot } => {
                self.send_message(at_ms, client_id, content, resume_bot);
            }
        }
    }

    fn send_message(&mut self, at_ms: i64, client_id: i64, content: Content, resume_bot: bool) {
        if let Some(client) = self.clients.get_mut(&client_id)
            && resume_bot
        {
            client.paused_until_ms = None;
        }
        let block = content.block_id.and_then(|id| self.project.block(id));
        // A block speaks as the bot; text of the API's caller carries no block number.
        let (text, origin) = match block {
            Some(block) => (Some(block.answer.clone()), None),
            None => (content.text, Some(Origin::Api)),
        };
        let attachments = content.attachment.into_iter().collect();
        let block_id = content.block_id;
        self.write_message(at_ms, client_id, Draft { block_id, origin, text, attachments, ..Draft::default() });
    }
}
