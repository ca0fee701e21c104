//! What the simulated project remembers: clients, messages, deals and timed sendings.

use std::collections::BTreeMap;

use serde_json::Value;

/// Name to value, in name order so that answers are the same on each run.
pub type Variables = BTreeMap<String, Value>;

/// A file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where it lies; may be empty for a voice message.
    pub url: String,
    /// `image`, `video`, `link`, `file` or `audio`.
    pub kind: String,
}

/// Where a message came from: `message_from_outside` (Salebot page on variables).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// 0: the messenger, the bot or an operator.
    Ordinary,
    /// 1: sent through the API.
    Api,
    /// 3: a callback or a system notice.
    Callback,
}

impl Origin {
    /// The number on the wire.
    pub fn number(self) -> i64 {
        match self {
            Self::Ordinary => 0,
            Self::Api => 1,
            Self::Callback => 3,
        }
    }
}

/// One message of a client's history, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 11 digits, increasing over the whole project.
    pub id: i64,
    /// True from the client, and for callbacks and system notices.
    pub from_client: bool,
    /// The block that wrote it; none for operators and the API.
    pub block_id: Option<i64>,
    /// Where it came from.
    pub origin: Origin,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Its text; none for a file without a caption.
    pub text: Option<String>,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// Why it did not arrive, if it did not.
    pub error: Option<String>,
    /// The e-mail of the operator who wrote it.
    pub operator: Option<String>,
    /// Its number in the messenger.
    pub internal_id: Option<String>,
}

/// A person, or a group chat, in one messenger under one bot.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// `client_id`.
    pub id: i64,
    /// The id in the messenger.
    pub platform_id: String,
    /// The messenger's number, see [`super::project::messenger`].
    pub client_type: i64,
    /// The bot, as a text.
    pub group: String,
    /// Its name, where the messenger told one.
    pub name: Option<String>,
    /// Address of its picture.
    pub avatar: Option<String>,
    /// The mark of the link it came by.
    pub tag: Option<String>,
    /// The block it stands in.
    pub block_id: Option<i64>,
    /// The e-mail of its operator.
    pub operator: Option<String>,
    /// The card this one was merged into.
    pub main_client_id: Option<i64>,
    /// When it was made, Unix milliseconds.
    pub created_ms: i64,
    /// When it last changed, Unix milliseconds.
    pub updated_ms: i64,
    /// Until when the bot is silent because an operator wrote, Unix milliseconds.
    pub paused_until_ms: Option<i64>,
    /// Its own variables, without the `client.` prefix.
    pub variables: Variables,
    /// Its deals, oldest first.
    pub orders: Vec<i64>,
    /// The deal chosen by hand as the current one.
    pub chosen_order: Option<i64>,
    /// Its messages, oldest first.
    pub history: Vec<Message>,
}

/// Whether a deal is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// 0: open.
    Active,
    /// 1: won.
    Won,
    /// 2: lost.
    Lost,
    /// Archived: `get_orders` has no number for it.
    Archived,
}

impl OrderStatus {
    /// The status that `order_status` names.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Active),
            1 => Some(Self::Won),
            2 => Some(Self::Lost),
            _ => None,
        }
    }
}

/// A deal of SalebotCRM.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// `order_id`.
    pub id: i64,
    /// Whose it is.
    pub client_id: i64,
    /// Its stage; none while it is not sorted.
    pub state_id: Option<i64>,
    /// Whether it is open.
    pub status: OrderStatus,
    /// Its variables, name, description and budget among them.
    pub variables: Variables,
    /// When it was made, Unix milliseconds.
    pub created_ms: i64,
}

/// A callback that reached a client's bot, for the comparison afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedCallback {
    /// Whose bot.
    pub client_id: i64,
    /// The callback text.
    pub text: String,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// Something to be sent, now or at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sending {
    /// A callback for the bot.
    Callback {
        /// Whose bot.
        client_id: i64,
        /// The callback text.
        text: String,
        /// Whether it ends the operator's pause.
        resume_bot: bool,
    },
    /// A message for the person.
    Message {
        /// To whom.
        client_id: i64,
        /// What.
        content: Content,
        /// Whether it ends the operator's pause.
        resume_bot: bool,
    },
}

/// What a message sent through the API consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// The text.
    pub text: Option<String>,
    /// The block whose answer is sent; the client moves into it.
    pub block_id: Option<i64>,
    /// The file.
    pub attachment: Option<Attachment>,
}
