//! The ways state changes: every new client, deal, message and variable passes through here, so
//! that indexes, webhooks and times stay in step.

use serde_json::Value;

use super::Salebot;
use super::index::{WHATSAPP_SUFFIX, bare_platform_id, digits};
use super::options::{ClearedForm, StageNotices};
use super::project::{messenger, plain_text};
use super::state::{Attachment, Client, Message, Order, OrderStatus, Origin, ReceivedCallback, Variables};

/// Names the constructor sets itself (Salebot page on variables): writing them has no effect.
pub(super) const BUILT_IN: [&str; 28] = [
    "none",
    "api_key",
    "attachment_url",
    "attachments",
    "avatar",
    "client_id",
    "client_type",
    "current_date",
    "current_time",
    "custom_answer",
    "message_from_outside",
    "date_of_creation",
    "time_of_creation",
    "full_name",
    "name",
    "group",
    "main_client_id",
    "message_id",
    "messenger",
    "next_day",
    "order",
    "order_id",
    "platform_id",
    "question",
    "timestamp",
    "tag",
    "wa_bot",
    "weekday",
];

/// Most variables of a client or a deal (Salebot page on variables).
pub(super) const VARIABLE_LIMIT: usize = 1_000;

/// A message about to be written into a client's history.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// From the client, or a callback or notice.
    pub from_client: bool,
    /// The block that wrote it.
    pub block_id: Option<i64>,
    /// 0 for ordinary.
    pub origin: Option<Origin>,
    /// The text.
    pub text: Option<String>,
    /// The files.
    pub attachments: Vec<Attachment>,
    /// The operator who wrote it.
    pub operator: Option<String>,
    /// Whether the project webhook is not told.
    pub unannounced: bool,
}

impl Salebot {
    /// Makes a client; the caller has made sure that there is none yet.
    pub(super) fn make_client(&mut self, now_ms: i64, client_type: i64, platform_id: &str, group: &str) -> i64 {
        let id = self.next_client_id;
        self.next_client_id += 1;
        let platform_id = self.stored_platform_id(client_type, platform_id);
        self.platforms.insert(&platform_id, id);
        let client = Client {
            id,
            platform_id,
            client_type,
            group: group.to_owned(),
            name: None,
            avatar: None,
            tag: None,
            block_id: None,
            operator: None,
            main_client_id: None,
            created_ms: now_ms,
            updated_ms: now_ms,
            paused_until_ms: None,
            variables: Variables::new(),
            orders: Vec::new(),
            chosen_order: None,
            history: Vec::new(),
        };
        self.clients.insert(id, client);
        if self.options.deal_for_new_client {
            self.make_order(now_ms, id, None);
        }
        id
    }

    /// The client of this messenger, bot and messenger id.
    pub(super) fn find_client(&self, client_type: i64, platform_id: &str, group: &str) -> Option<i64> {
        let wanted = self.stored_platform_id(client_type, platform_id);
        self.platforms.clients(&wanted).find(|id| {
            self.clients.get(id).is_some_and(|client| client.client_type == client_type && client.group == group)
        })
    }

    /// WhatsApp ids are digits, with or without their end; all others stay as they are.
    fn stored_platform_id(&self, client_type: i64, platform_id: &str) -> String {
        if client_type != messenger::WHATSAPP {
            return platform_id.to_owned();
        }
        let phone = digits(bare_platform_id(platform_id));
        if self.options.whatsapp_suffix { phone + WHATSAPP_SUFFIX } else { phone }
    }

    /// Removes a client with its deals and its places in lists; false when there is none.
    pub(super) fn remove_client(&mut self, id: i64) -> bool {
        let Some(client) = self.clients.remove(&id) else { return false };
        self.platforms.remove(&client.platform_id, id);
        for (name, value) in &client.variables {
            self.client_values.remove(name, value, id);
        }
        for order_id in client.orders {
            let Some(order) = self.orders.remove(&order_id) else { continue };
            for (name, value) in &order.variables {
                self.order_values.remove(name, value, order_id);
            }
        }
        for members in self.lists.values_mut() {
            members.remove(&id);
        }
        true
    }

    /// Makes a deal; without a stage given, the project's intake decides.
    pub(super) fn make_order(&mut self, now_ms: i64, client_id: i64, state_id: Option<i64>) -> i64 {
        let intake = self.options.first_stage_intake.then(|| self.project.first_stage()).flatten();
        self.make_order_in(now_ms, client_id, state_id.or(intake))
    }

    fn make_order_in(&mut self, now_ms: i64, client_id: i64, state_id: Option<i64>) -> i64 {
        let id = self.next_order_id;
        self.next_order_id += 1;
        let status = OrderStatus::Active;
        let order = Order { id, client_id, state_id, status, variables: Variables::new(), created_ms: now_ms };
        self.orders.insert(id, order);
        if let Some(client) = self.clients.get_mut(&client_id) {
            client.orders.push(id);
            client.chosen_order = None;
            client.updated_ms = now_ms;
        }
        id
    }

    /// The deal plain variables go to: the one chosen by hand, else the last open one.
    pub(super) fn current_order(&self, client: &Client) -> Option<i64> {
        let open = |id: &i64| self.orders.get(id).is_some_and(|order| order.status == OrderStatus::Active);
        client.chosen_order.filter(open).or_else(|| client.orders.iter().copied().rfind(open))
    }

    /// The current deal, or an implicit one without a stage.
    pub(super) fn current_or_implicit_order(&mut self, now_ms: i64, client_id: i64) -> Option<i64> {
        let current = self.current_order(self.clients.get(&client_id)?);
        Some(current.unwrap_or_else(|| self.make_order_in(now_ms, client_id, None)))
    }

    /// Writes a variable that all clients share; built-in names change nothing.
    pub(super) fn write_project_variable(&mut self, name: &str, value: &Value) {
        if !BUILT_IN.contains(&name) && has_room(&self.project_variables, name) {
            let written = stored_value(value, self.options.cleared);
            replace(&mut self.project_variables, name, written.as_ref());
        }
    }

    /// Writes a client's variable; `name` changes the card, other built-in names change nothing.
    pub(super) fn write_client_variable(&mut self, now_ms: i64, client_id: i64, name: &str, value: &Value) {
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        client.updated_ms = now_ms;
        if name == "name" {
            client.name = Some(plain_text(value)).filter(|name| !name.is_empty());
            return;
        }
        if BUILT_IN.contains(&name) || !has_room(&client.variables, name) {
            return;
        }
        let written = stored_value(value, self.options.cleared);
        if let Some(old) = replace(&mut client.variables, name, written.as_ref()) {
            self.client_values.remove(name, &old, client_id);
        }
        if let Some(new) = written {
            self.client_values.insert(name, &new, client_id);
        }
    }

    /// Writes a deal's variable; built-in names change nothing.
    pub(super) fn write_order_variable(&mut self, order_id: i64, name: &str, value: &Value) {
        let Some(order) = self.orders.get_mut(&order_id) else { return };
        if BUILT_IN.contains(&name) || !has_room(&order.variables, name) {
            return;
        }
        let written = stored_value(value, self.options.cleared);
        if let Some(old) = replace(&mut order.variables, name, written.as_ref()) {
            self.order_values.remove(name, &old, order_id);
        }
        if let Some(new) = written {
            self.order_values.insert(name, &new, order_id);
        }
    }

    /// Moves a deal; a change of stage is told to the bot as the options say.
    pub(super) fn move_order(&mut self, now_ms: i64, order_id: i64, state_id: i64) -> bool {
        let Some((funnel, stage)) = self.project.stage(state_id) else { return false };
        let notice = format!("crm_state_changed {}:{}", funnel.name, stage.name);
        let Some(order) = self.orders.get_mut(&order_id) else { return false };
        let changed = order.state_id != Some(state_id);
        order.state_id = Some(state_id);
        let client_id = order.client_id;
        let told = match self.options.stage_notices {
            StageNotices::Never => false,
            StageNotices::OnChange => changed,
            StageNotices::Always => true,
        };
        if told {
            self.write_client_variable(now_ms, client_id, "callback_order_id", &Value::from(order_id));
            self.notice(now_ms, client_id, &notice);
        }
        true
    }

    /// A system notice: an ordinary message that no person wrote.
    pub(super) fn notice(&mut self, now_ms: i64, client_id: i64, text: &str) -> Option<i64> {
        self.write_message(now_ms, client_id, notice_draft(text))
    }

    /// A callback: the bot gets it, the person does not see it.
    pub(super) fn receive_callback(&mut self, now_ms: i64, client_id: i64, text: &str, resume_bot: bool) {
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        if resume_bot {
            client.paused_until_ms = None;
        }
        self.callbacks.push_back(ReceivedCallback { client_id, text: text.to_owned(), at_ms: now_ms });
        while self.callbacks.len() > self.options.callback_log_limit {
            self.callbacks.pop_front();
        }
        let unannounced = !self.options.webhook.callbacks;
        self.write_message(now_ms, client_id, Draft { unannounced, ..notice_draft(text) });
    }

    /// Puts a message into the history and into the webhook queue; its id, if there is the client.
    pub(super) fn write_message(&mut self, now_ms: i64, client_id: i64, draft: Draft) -> Option<i64> {
        let client = self.clients.get_mut(&client_id)?;
        let id = self.next_message_id;
        self.next_message_id += 1;
        let from_messenger = draft.from_client && draft.origin.is_none();
        let message = Message {
            id,
            from_client: draft.from_client,
            block_id: draft.block_id,
            origin: draft.origin.unwrap_or(Origin::Ordinary),
            at_ms: now_ms,
            text: draft.text,
            attachments: draft.attachments,
            error: if draft.from_client { None } else { delivery_error(client) },
            operator: draft.operator,
            internal_id: from_messenger.then(|| (id - super::FIRST_MESSAGE_ID + 1).to_string()),
        };
        client.updated_ms = now_ms;
        client.block_id = message.block_id.or(client.block_id);
        client.history.push(message);
        let surplus = client.history.len().saturating_sub(self.options.history_limit.max(1));
        client.history.drain(..surplus);
        if !draft.unannounced {
            self.queue_webhook(client_id);
        }
        Some(id)
    }
}

/// What callbacks and system notices look like: from the client's side, yet no person wrote them.
fn notice_draft(text: &str) -> Draft {
    Draft { from_client: true, origin: Some(Origin::Callback), text: Some(text.to_owned()), ..Draft::default() }
}

/// Why nothing reaches this person: `notSubscribed` or `clientBlocked` is set.
fn delivery_error(client: &Client) -> Option<String> {
    let set = |name: &str| client.variables.get(name).is_some_and(|value| plain_text(value) == "1");
    (set("notSubscribed") || set("clientBlocked")).then(|| "bot was blocked by the user".to_owned())
}

/// Scalars stay as sent, structures become compact JSON text; an empty text clears the variable.
fn stored_value(value: &Value, cleared: ClearedForm) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => match cleared {
            ClearedForm::Removed => None,
            ClearedForm::EmptyText => Some(value.clone()),
        },
        Value::Array(_) | Value::Object(_) => Some(Value::from(value.to_string())),
        _ => Some(value.clone()),
    }
}

/// Writes or removes a value; what stood there before.
fn replace(variables: &mut Variables, name: &str, written: Option<&Value>) -> Option<Value> {
    match written {
        Some(value) => variables.insert(name.to_owned(), value.clone()),
        None => variables.remove(name),
    }
}

/// Whether one more value finds room.
fn has_room(variables: &Variables, name: &str) -> bool {
    variables.len() < VARIABLE_LIMIT || variables.contains_key(name)
}
