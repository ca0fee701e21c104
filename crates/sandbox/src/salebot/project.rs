//! The project itself: messengers, funnels, blocks and operators, and the default fixture.

use serde_json::{Value, json};

/// Messenger numbers (`client_type`), as the Salebot page on variables lists them.
pub mod messenger {
    /// VKontakte.
    pub const VKONTAKTE: i64 = 0;
    /// A Telegram bot.
    pub const TELEGRAM: i64 = 1;
    /// Viber.
    pub const VIBER: i64 = 2;
    /// The online chat of a web site.
    pub const ONLINE_CHAT: i64 = 5;
    /// WhatsApp.
    pub const WHATSAPP: i64 = 6;
    /// Odnoklassniki.
    pub const ODNOKLASSNIKI: i64 = 8;
    /// Telephony: clients without a group.
    pub const TELEPHONY: i64 = 13;
    /// E-mail.
    pub const EMAIL: i64 = 14;
    /// A Telegram Business account.
    pub const TELEGRAM_BUSINESS: i64 = 16;
    /// MAX.
    pub const MAX: i64 = 20;
}

/// A connected messenger account or bot.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its key in `connected_channels`: `telegram`, `whatsapp`, …
    pub messenger: &'static str,
    /// The number its clients carry as `client_type`.
    pub client_type: i64,
    /// Its own id.
    pub id: i64,
    /// `group_id` with the JSON type the service gives it.
    pub group_id: Value,
    /// Its name.
    pub name: String,
    /// WhatsApp: 0 not started, 1 started, 2 asleep, 3 stopped.
    pub status: Option<i64>,
}

impl Channel {
    /// The group as clients carry it: always a text.
    pub fn group(&self) -> String {
        plain_text(&self.group_id)
    }
}

/// A scalar as a text without quotes; anything else as compact JSON, null as an empty text.
pub fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A stage of a funnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `state_id`, unique in the project.
    pub id: i64,
    /// Its name, which may hold colons and spaces.
    pub name: String,
}

/// A funnel of SalebotCRM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Funnel {
    /// Its name, which may hold colons and spaces.
    pub name: String,
    /// Its stages in order.
    pub stages: Vec<Stage>,
}

/// A block of the bot's scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The block number, called `message_id` nearly everywhere.
    pub id: i64,
    /// What makes the bot enter it.
    pub condition: String,
    /// What it says.
    pub answer: String,
    /// Its type as the scheme numbers them.
    pub message_type: i64,
    /// The author's remark.
    pub description: String,
}

/// An employee who answers by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// `manager_id`.
    pub id: i64,
    /// `manager_email`.
    pub email: String,
}

/// What was set up by hand in the constructor.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Connected messengers.
    pub channels: Vec<Channel>,
    /// Funnels in order; new deals enter the first.
    pub funnels: Vec<Funnel>,
    /// Blocks of the bot.
    pub blocks: Vec<Block>,
    /// Employees; the first is the one the system's own distribution takes.
    pub operators: Vec<Operator>,
}

impl Project {
    /// The channel a client of this messenger and group belongs to.
    pub fn channel(&self, client_type: i64, group: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.client_type == client_type && channel.group() == group)
    }

    /// The first channel of a messenger.
    pub fn first_channel(&self, client_type: i64) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.client_type == client_type)
    }

    /// The funnel and the stage with this `state_id`.
    pub fn stage(&self, state_id: i64) -> Option<(&Funnel, &Stage)> {
        self.funnels.iter().find_map(|funnel| {
            let stage = funnel.stages.iter().find(|stage| stage.id == state_id)?;
            Some((funnel, stage))
        })
    }

    /// The first stage of the first funnel.
    pub fn first_stage(&self) -> Option<i64> {
        self.funnels.first()?.stages.first().map(|stage| stage.id)
    }

    /// The stage after this one in its funnel; the last one follows itself.
    pub fn next_stage(&self, state_id: i64) -> Option<i64> {
        let (funnel, _) = self.stage(state_id)?;
        let place = funnel.stages.iter().position(|stage| stage.id == state_id)?;
        funnel.stages.get(place + 1).or(funnel.stages.last()).map(|stage| stage.id)
    }

    /// The block with this number.
    pub fn block(&self, id: i64) -> Option<&Block> {
        self.blocks.iter().find(|block| block.id == id)
    }
}

impl Default for Project {
    fn default() -> Self {
        Self {
            channels: default_channels(),
            funnels: default_funnels(),
            blocks: default_blocks(),
            operators: default_operators(),
        }
    }
}

fn default_channels() -> Vec<Channel> {
    let channel = |messenger, client_type, id, group_id: Value, name: &str| Channel {
        messenger,
        client_type,
        id,
        group_id,
        name: name.to_owned(),
        status: (client_type == messenger::WHATSAPP).then_some(1),
    };
    vec![
        channel("telegram", messenger::TELEGRAM, 23, json!("some_bot"), "some_bot"),
        channel("telegram", messenger::TELEGRAM, 24, json!("second_bot"), "second_bot"),
        channel("telegram_business", messenger::TELEGRAM_BUSINESS, 25, json!("some_business"), "some_business"),
        channel("whatsapp", messenger::WHATSAPP, 31, json!(34_810), "WhatsApp"),
        channel("vkontakte", messenger::VKONTAKTE, 33, json!("143000131"), "Группа"),
        channel("viber", messenger::VIBER, 14, json!(11), "viber_account"),
        channel("ok", messenger::ODNOKLASSNIKI, 15, json!("52000000000001"), "ok_group"),
        channel("online_chat", messenger::ONLINE_CHAT, 41, json!("5kqEXAMPLExamplechatw=="), "Чат на сайте"),
        channel("email", messenger::EMAIL, 51, json!("bot@example.test"), "bot@example.test"),
    ]
}

fn default_funnels() -> Vec<Funnel> {
    let funnel = |name: &str, stages: &[(i64, &str)]| Funnel {
        name: name.to_owned(),
        stages: stages.iter().map(|&(id, name)| Stage { id, name: name.to_owned() }).collect(),
    };
    vec![
        funnel("Продажи", &[(35, "Новая заявка"), (36, "В работе"), (37, "Счёт выставлен"), (38, "Оплата: частично")]),
        funnel("Сервис: гарантия", &[(41, "Обращение"), (42, "Ремонт"), (43, "Выдача")]),
    ]
}

fn default_blocks() -> Vec<Block> {
    let block = |id, condition: &str, answer: &str, message_type, description: &str| Block {
        id,
        condition: condition.to_owned(),
        answer: answer.to_owned(),
        message_type,
        description: description.to_owned(),
    };
    vec![
        block(390, "/start", "Здравствуйте! Чем помочь?", 1, "приветствие"),
        block(391, "price", "Прайс отправим на почту.", 1, "прайс"),
        block(392, "amo_state_changed", "", 2, "этап в CRM"),
    ]
}

fn default_operators() -> Vec<Operator> {
    let operator = |id, email: &str| Operator { id, email: email.to_owned() };
    vec![operator(12_486, "first@example.test"), operator(12_487, "second@example.test")]
}
