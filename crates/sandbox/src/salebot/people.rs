//! What people do: clients write, bots and operators answer, managers move deals.
//!
//! The demo, the simulation and tests call these directly. Each takes the time in Unix
//! milliseconds; those that name a client answer `None` or `false` when there is no such client.

use serde_json::Value;

use super::Salebot;
use super::index::digits;
use super::project::messenger;
use super::record::Draft;
use super::state::{Attachment, OrderStatus};

/// How long a bot is silent after an operator wrote (Salebot page on operators): 24 hours.
const OPERATOR_PAUSE_MS: i64 = 86_400_000;

/// A client about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewClient<'a> {
    /// The messenger's number, see [`messenger`].
    pub client_type: i64,
    /// The id in the messenger.
    pub platform_id: &'a str,
    /// The bot, as `group_id` of `connected_channels`, as a text.
    pub group: &'a str,
    /// The name the messenger tells, if it tells one.
    pub name: Option<&'a str>,
}

/// A deal about to be made by hand or by a bot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NewOrder<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// Its budget, in whole units of the project's currency.
    pub budget: Option<i64>,
    /// Its stage; none leaves it to the project's intake.
    pub state_id: Option<i64>,
}

impl Salebot {
    /// Somebody opens the chat with a bot; gives the client there already is, or a new one.
    pub fn add_client(&mut self, now_ms: i64, new: NewClient<'_>) -> i64 {
        let found = self.find_client(new.client_type, new.platform_id, new.group);
        let id = found.unwrap_or_else(|| self.make_client(now_ms, new.client_type, new.platform_id, new.group));
        if let Some(client) = self.clients.get_mut(&id)
            && let Some(name) = new.name
        {
            client.name = Some(name.to_owned());
        }
        id
    }

    /// Fills the project with this many Telegram people, every tenth with a WhatsApp card too. The
    /// first 100 have a phone of the made-up range +7 999 000-00-xx, all have an e-mail.
    pub fn populate(&mut self, now_ms: i64, count: u32) -> Vec<i64> {
        (0..count).map(|number| self.populate_one(now_ms, number)).collect()
    }

    fn populate_one(&mut self, now_ms: i64, number: u32) -> i64 {
        let platform_id = (600_000_001 + u64::from(number)).to_string();
        let name = format!("Person {number}");
        let id = self.add_client(
            now_ms,
            NewClient {
                client_type: messenger::TELEGRAM,
                platform_id: &platform_id,
                group: "some_bot",
                name: Some(&name),
            },
        );
        let email = format!("person{number}@example.test");
        self.write_client_variable(now_ms, id, "email", &Value::from(email));
        self.write_client_variable(now_ms, id, "tg_username", &Value::from(format!("@person{number}")));
        if number < 100 {
            let phone = format!("799900000{number:02}");
            self.write_client_variable(now_ms, id, "phone", &Value::from(phone.as_str()));
            if number.is_multiple_of(10) {
                let group = "34810";
                self.add_client(
                    now_ms,
                    NewClient { client_type: messenger::WHATSAPP, platform_id: &phone, group, name: Some(&name) },
                );
            }
        }
        id
    }

    /// The person writes; the id of the message.
    pub fn person_writes(
        &mut self,
        now_ms: i64,
        client_id: i64,
        text: Option<&str>,
        attachments: &[Attachment],
    ) -> Option<i64> {
        let draft = Draft {
            from_client: true,
            text: text.map(str::to_owned),
            attachments: attachments.to_vec(),
            ..Draft::default()
        };
        self.write_message(now_ms, client_id, draft)
    }

    /// The bot answers from a block, which the client then stands in.
    pub fn bot_answers(&mut self, now_ms: i64, client_id: i64, text: &str, block_id: i64) -> Option<i64> {
        let draft = Draft { text: Some(text.to_owned()), block_id: Some(block_id), ..Draft::default() };
        self.write_message(now_ms, client_id, draft)
    }

    /// The client's operator (or the project's first one) answers by hand; the bot falls silent.
    pub fn operator_answers(&mut self, now_ms: i64, client_id: i64, text: &str) -> Option<i64> {
        let first = self.project.operators.first().map(|operator| operator.email.clone());
        let client = self.clients.get_mut(&client_id)?;
        client.paused_until_ms = Some(now_ms + OPERATOR_PAUSE_MS);
        let operator = client.operator.clone().or(first);
        self.write_message(now_ms, client_id, Draft { text: Some(text.to_owned()), operator, ..Draft::default() })
    }

    /// A bot is put into a Telegram group: the group becomes a client with a negative id.
    pub fn add_group_chat(&mut self, now_ms: i64, group: &str, chat_id: i64, title: &str) -> i64 {
        let platform_id = (-chat_id.abs()).to_string();
        let client_type = messenger::TELEGRAM;
        let id =
            self.add_client(now_ms, NewClient { client_type, platform_id: &platform_id, group, name: Some(title) });
        self.system_notice(now_ms, id, "new_chat_member");
        id
    }

    /// A notice of the system, such as `new_chat_member`: an ordinary message on the wire.
    pub fn system_notice(&mut self, now_ms: i64, client_id: i64, text: &str) -> Option<i64> {
        self.notice(now_ms, client_id, text)
    }

    /// A bot sets a variable, with the constructor's prefixes: `client.x`, `project.x`, plain for the deal.
    pub fn set_variable(&mut self, now_ms: i64, client_id: i64, name: &str, value: &str) -> bool {
        let value = Value::from(value);
        self.write_scoped(now_ms, client_id, std::iter::once((&name.to_owned(), &value)));
        self.clients.contains_key(&client_id)
    }

    /// A manager edits a deal's variable.
    pub fn set_order_variable(&mut self, order_id: i64, name: &str, value: &Value) -> bool {
        self.write_order_variable(order_id, name, value);
        self.orders.contains_key(&order_id)
    }

    /// A deal is made by hand or by a bot; none for an unknown client or stage.
    pub fn add_order(&mut self, now_ms: i64, client_id: i64, new: NewOrder<'_>) -> Option<i64> {
        self.clients.get(&client_id)?;
        if let Some(state_id) = new.state_id {
            self.project.stage(state_id)?;
        }
        let order_id = self.make_order(now_ms, client_id, new.state_id);
        if let Some(name) = new.name {
            let variable = self.options.installation.deal_name();
            self.write_order_variable(order_id, variable, &Value::from(name));
        }
        if let Some(budget) = new.budget {
            self.write_order_variable(order_id, "budget", &Value::from(budget));
        }
        Some(order_id)
    }

    /// A manager drags a deal to another stage; false for a deal or stage that is not there.
    pub fn move_order_by_hand(&mut self, now_ms: i64, order_id: i64, state_id: i64) -> bool {
        self.move_order(now_ms, order_id, state_id)
    }

    /// A manager closes a deal. Lost and archived ones keep the reason in a variable.
    pub fn close_order(&mut self, order_id: i64, status: OrderStatus, reason: &str) -> bool {
        let Some(order) = self.orders.get_mut(&order_id) else { return false };
        order.status = status;
        let variable = match status {
            OrderStatus::Lost => "failed_reason",
            OrderStatus::Archived => "achived_reason",
            OrderStatus::Active | OrderStatus::Won => return true,
        };
        self.write_order_variable(order_id, variable, &Value::from(reason));
        true
    }

    /// A manager opens a closed deal again.
    pub fn restore_order(&mut self, order_id: i64) -> bool {
        let Some(order) = self.orders.get_mut(&order_id) else { return false };
        let variable = match order.status {
            OrderStatus::Lost => Some("restored_from_failed"),
            OrderStatus::Archived => Some("restored_from_archived"),
            OrderStatus::Active | OrderStatus::Won => None,
        };
        order.status = OrderStatus::Active;
        if let Some(variable) = variable {
            self.write_order_variable(order_id, variable, &Value::from("true"));
        }
        true
    }

    /// A bot chooses the current deal (`switch_order`); false for a deal of somebody else.
    pub fn switch_order(&mut self, client_id: i64, order_id: i64) -> bool {
        let own = self.orders.get(&order_id).is_some_and(|order| order.client_id == client_id);
        if let Some(client) = self.clients.get_mut(&client_id).filter(|_| own) {
            client.chosen_order = Some(order_id);
        }
        own
    }

    /// A manager merges two cards of one person: the other one points at the main one.
    pub fn merge_clients(&mut self, now_ms: i64, main_client_id: i64, other_client_id: i64) -> bool {
        if main_client_id == other_client_id || !self.clients.contains_key(&main_client_id) {
            return false;
        }
        let Some(other) = self.clients.get_mut(&other_client_id) else { return false };
        other.main_client_id = Some(main_client_id);
        other.updated_ms = now_ms;
        true
    }

    /// A manager deletes a client; who returns gets a new id.
    pub fn delete_client(&mut self, client_id: i64) -> bool {
        self.remove_client(client_id)
    }

    /// `check_whatsapp` says no for this phone from now on.
    pub fn set_without_whatsapp(&mut self, phone: &str) {
        self.phones_without_whatsapp.insert(digits(phone));
    }
}
