//! Actions that start a bot: each hands it a callback text the person does not see.
//!
//! Whatever else stands in the body becomes variables of the client.

use super::Salebot;
use super::answer::{Answer, error_answer};
use super::project::messenger;
use super::routes::Call;
use super::state::Sending;
use super::variables::is_scoped_name;

/// Most sendings of one `send_callback_by_platform_id` (Salebot API page).
const PLATFORM_LIMIT: usize = 300;

/// Names in the body that are no variables, over all callback actions.
const KNOWN: [&str; 15] = [
    "message",
    "callback_text",
    "client_id",
    "client_phone",
    "client_email",
    "user_id",
    "group_id",
    "phone",
    "bot_id",
    "email",
    "email_id_bot",
    "name",
    "resume_bot",
    "time_shift",
    "send_time",
];

impl Salebot {
    /// `callback`: by id, else by phone, else by e-mail.
    pub(super) fn callback(&mut self, call: &Call) -> Answer {
        let client_id = if call.arguments.filled("client_id").is_some() {
            self.known_client(call, "client_id")?
        } else {
            let phone = call.arguments.filled("client_phone").map(|phone| self.clients_by_phone(&phone));
            let email = call.arguments.filled("client_email").map(|email| self.clients_by_email(&email));
            let found = phone.or(email).and_then(|found| found.first().copied());
            found.ok_or_else(|| self.options.client_not_found())?
        };
        self.call_back(call, client_id)
    }

    /// `tg_callback`: `group_id` is the bot's user name.
    pub(super) fn tg_callback(&mut self, call: &Call) -> Answer {
        self.user_callback(call, messenger::TELEGRAM)
    }

    /// `vk_callback`.
    pub(super) fn vk_callback(&mut self, call: &Call) -> Answer {
        self.user_callback(call, messenger::VKONTAKTE)
    }

    /// `ok_callback`.
    pub(super) fn ok_callback(&mut self, call: &Call) -> Answer {
        self.user_callback(call, messenger::ODNOKLASSNIKI)
    }

    fn user_callback(&mut self, call: &Call, client_type: i64) -> Answer {
        let user = call.arguments.filled("user_id").ok_or_else(|| error_answer("user_id required"))?;
        let group = call.arguments.filled("group_id").ok_or_else(|| error_answer("group_id required"))?;
        let client_id = self.find_client(client_type, &user, &group).ok_or_else(|| self.options.client_not_found())?;
        self.call_back(call, client_id)
    }

    /// `whatsapp_callback`: finds the client or makes it.
    pub(super) fn whatsapp_callback(&mut self, call: &Call) -> Answer {
        self.address_callback(call, messenger::WHATSAPP, "phone", "bot_id")
    }

    /// `email_callback`: finds the client or makes it.
    pub(super) fn email_callback(&mut self, call: &Call) -> Answer {
        self.address_callback(call, messenger::EMAIL, "email", "email_id_bot")
    }

    fn address_callback(&mut self, call: &Call, client_type: i64, address: &str, bot: &str) -> Answer {
        // `value_phone` and `value_email` put what they point at under the names of `callback`.
        let pointed = call.arguments.filled(&format!("client_{address}"));
        let address = call.arguments.filled(address).or(pointed);
        let address = address.ok_or_else(|| error_answer("address required"))?;
        let group = self.bot_group(client_type, call.arguments.filled(bot));
        let client_id = group.and_then(|group| self.find_or_make(call.now_ms, client_type, &address, &group));
        let client_id = client_id.ok_or_else(|| self.options.client_not_found())?;
        if let Some(name) = call.arguments.filled("name")
            && let Some(client) = self.clients.get_mut(&client_id)
        {
            client.name.get_or_insert(name);
        }
        self.call_back(call, client_id)
    }

    /// The group of the named bot (by `group_id`, or by the bot's own number), else of the first one.
    pub(super) fn bot_group(&self, client_type: i64, bot: Option<String>) -> Option<String> {
        let Some(bot) = bot else { return self.project.first_channel(client_type).map(|channel| channel.group()) };
        let mut channels = self.project.channels.iter().filter(|channel| channel.client_type == client_type);
        channels.find(|channel| channel.group() == bot || channel.id.to_string() == bot).map(|channel| channel.group())
    }

    fn call_back(&mut self, call: &Call, client_id: i64) -> Answer {
        let text = call.arguments.filled("message").ok_or_else(|| error_answer("message required"))?;
        let due_ms = self.due_ms(call.now_ms, &call.arguments)?;
        let extra = call.arguments.extra(&KNOWN);
        let kept = extra.iter().filter(|(name, _)| is_scoped_name(name));
        self.write_scoped(call.now_ms, client_id, kept.map(|(name, value)| (name, value)));
        let resume_bot = call.arguments.flag("resume_bot");
        self.send_and_acknowledge(call.now_ms, due_ms, Sending::Callback { client_id, text, resume_bot })
    }

    /// `send_callback_by_platform_id`: those who are in the project get it, nobody else is named.
    pub(super) fn send_callback_by_platform_id(&mut self, call: &Call) -> Answer {
        let wanted = call.arguments.list("platform_ids").ok_or_else(|| error_answer("platform_ids required"))?;
        let text = call.arguments.filled("callback_text").ok_or_else(|| error_answer("callback_text required"))?;
        if wanted.len() > PLATFORM_LIMIT {
            return Err(error_answer("no more than 300 platform_ids"));
        }
        let due_ms = self.due_ms(call.now_ms, &call.arguments)?;
        let group = call.arguments.filled("group_id");
        let clients: Vec<i64> = self.platform_clients(wanted, group.as_deref()).map(|client| client.id).collect();
        for client_id in clients {
            let text = text.clone();
            self.send_at(call.now_ms, due_ms, Sending::Callback { client_id, text, resume_bot: false })?;
        }
        Ok(self.options.acknowledge())
    }
}
